using System.Text.Json;
using Farspan.EndToEnd.Tests.Cli;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Managed;

/// <summary><c>farspan serve --managed</c>: one managed mount without a file, which stock NBD clients read and write.</summary>
public sealed class ManagedServeTests
{
    private const string Socket = "nbd+unix:///?socket=s";
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(90);
    private static readonly string[] s_lazy = ["--managed", "--listen", Socket, "--cache", "cache", "--flush", "local", "--push-interval", "1h"];

    [RequiresFact("nbdinfo", "nbdcopy", "qemu-io", "cmp")]
    public async Task StockClients_ReadAndWriteTheMount_AndCtrlCPushesAll()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await ManagedMountTests.WriteRandomAsync(directory["disk"], 1 << 20);
        await ManagedMountTests.WriteRandomAsync(directory["other"], 1 << 20);
        await using var server = await farspan.ServeAsync(["file:disk?lock=off", "--no-pull", .. s_lazy]);
        string uri = $"nbd+unix:///?socket={directory["s"]}";
        using (var info = JsonDocument.Parse(await PeerProcess.RunOkAsync("nbdinfo", ["--json", "--no-content", uri])))
        {
            var export = info.RootElement.GetProperty("exports")[0];
            Assert.False(export.GetProperty("is_read_only").GetBoolean());
            Assert.True(export.GetProperty("can_multi_conn").GetBoolean());
            Assert.Contains("x-farspan:dirty", export.GetProperty("contexts").GetRawText(), StringComparison.Ordinal);
        }

        await PeerProcess.RunOkAsync("nbdcopy", ["--flush", directory["other"], uri]);
        await PeerProcess.RunOkAsync("qemu-io", ["-f", "raw", "-c", "write -P 0xab 4096 8192", "-c", "flush", "-c", "read -P 0xab 4096 8192", uri]);
        using (var dirty = JsonDocument.Parse(await PeerProcess.RunOkAsync("nbdinfo", ["--map=x-farspan:dirty", "--json", uri])))
            Assert.Equal(1, dirty.RootElement[0].GetProperty("type").GetInt32());

        // The remote has nothing of it yet.
        Assert.Equal(-1, (await ManagedMountTests.ReadAsync(directory["disk"], 4096, 8192)).AsSpan().IndexOf(Enumerable.Repeat((byte)0xab, 64).ToArray()));
        await server.SignalAsync("INT");
        await server.WaitForExitAsync(s_patience);
        Assert.True(server.ExitCode == 0, server.Report);
        Assert.Contains("stopped; everything is flushed", server.Output, StringComparison.Ordinal);
        Assert.Equal(-1, (await ManagedMountTests.ReadAsync(directory["disk"], 4096, 8192)).AsSpan().IndexOfAnyExcept((byte)0xab));
        byte[] expected = await File.ReadAllBytesAsync(directory["other"]);
        expected.AsSpan(4096, 8192).Fill(0xab);
        Assert.True((await File.ReadAllBytesAsync(directory["disk"])).AsSpan().SequenceEqual(expected));
        Assert.Empty(farspan.Leftovers());
        Assert.False(File.Exists(directory["s"]));
        Assert.Empty(Directory.GetFiles(directory["run"]));
    }

    [RequiresFact("nbdinfo", "qemu-io")]
    public async Task Status_TellsOfItByItsUri_AndUmountEndsIt()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await ManagedMountTests.WriteRandomAsync(directory["disk"], 1 << 20);
        await using var server = farspan.Start(["serve", "file:disk?lock=off", "--json", .. s_lazy, "--listen", "farspan://127.0.0.1:0"]);
        await server.WaitUntilAsync(peer => peer.Output.Contains("\"ready\"", StringComparison.Ordinal), s_patience);
        using var ready = JsonDocument.Parse(server.Output.Split('\n')[0]);
        string[] uris = [.. ready.RootElement.GetProperty("uris").EnumerateArray().Select(uri => uri.GetString()!)];
        Assert.Equal(directory["cache"], ready.RootElement.GetProperty("cache").GetString());
        await PeerProcess.RunOkAsync("qemu-io", ["-f", "raw", "-c", "write -P 1 0 4096", uris[0]]);
        using (var dirty = JsonDocument.Parse(await PeerProcess.RunOkAsync("nbdinfo", ["--map=x-farspan:dirty", "--json", uris[0]])))
            Assert.Equal([1, 0], dirty.RootElement.EnumerateArray().Select(run => run.GetProperty("type").GetInt32()));
        foreach (string written in new[] { uris[0], uris[1], uris[1].TrimEnd('/') })
        {
            using var status = JsonDocument.Parse(await farspan.OkAsync("status", written, "--json"));
            Assert.Equal("managed", status.RootElement.GetProperty("kind").GetString());
            Assert.Equal(uris[0], status.RootElement.GetProperty("target").GetString());
            Assert.Equal(uris, status.RootElement.GetProperty("listens").EnumerateArray().Select(uri => uri.GetString()));
            Assert.Equal(4096, status.RootElement.GetProperty("dirtyBytes").GetInt64());
        }

        Assert.Contains(uris[0], await farspan.OkAsync("status"), StringComparison.Ordinal);
        Assert.Contains($"served at {uris[0]}, {uris[1]}", (await farspan.OkAsync("status", uris[1])).ReplaceLineEndings(" ").Replace("  ", " ", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Contains("leave out --lazy", await farspan.FailsAsync(1, "umount", uris[1], "--lazy"), StringComparison.Ordinal);
        await farspan.OkAsync("umount", uris[1]);
        await server.WaitForExitAsync(s_patience);
        Assert.True(server.ExitCode == 0, server.Report);
        Assert.Equal(-1, (await ManagedMountTests.ReadAsync(directory["disk"], 0, 4096)).AsSpan().IndexOfAnyExcept((byte)1));
        Assert.Equal("no mounts\n", await farspan.OkAsync("status"));
    }

    [RequiresFact("fio", "cmp")]
    public async Task TwoClientsAtOnce_EachReadsBackWhatItWrote()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await using var served = await ServedExport.StartAsync("unix", "memory:32MiB");
        await using var server = await farspan.ServeAsync(
            served.Uri, "--managed", "--listen", Socket, "--cache", "cache", "--cache-size", "8MiB", "--dirty-limit", "2MiB", "--push-interval", "50ms");
        await Task.WhenAll(Fio("one", "0"), Fio("two", "16m"));
        string uri = $"nbd+unix:///?socket={directory["s"]}";
        await farspan.OkAsync("copy", uri, "file:seen");

        // By its record, as `farspan status` knows it.
        await farspan.OkAsync("copy", $"mount:{uri}", "file:seen-as-mount");
        await PeerProcess.RunOkAsync("cmp", [directory["seen"], directory["seen-as-mount"]]);
        await server.SignalAsync("TERM");
        await server.WaitForExitAsync(s_patience);
        Assert.True(server.ExitCode == 0, server.Report);
        await farspan.OkAsync("copy", served.Uri, "file:stored");
        await PeerProcess.RunOkAsync("cmp", [directory["seen"], directory["stored"]]);

        Task Fio(string name, string offset) => PeerProcess.RunOkAsync(
            "fio",
            [
                $"--name={name}", "--ioengine=nbd", $"--uri=nbd+unix:///?socket={directory["s"]}", "--rw=randwrite", "--bsrange=4k-64k", "--blockalign=4k", $"--offset={offset}",
                "--size=16m", "--iodepth=16", "--verify=crc32c", "--do_verify=1", "--verify_fatal=1", "--end_fsync=1",
            ],
            s_patience);
    }

    [RequiresFact("qemu-io")]
    public async Task RemoteGone_CtrlCSaysWhatIsLeftAndHowToGoOn_WhichPushesIt()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await using var served = await ServedExport.StartAsync("unix", "file:disk?size=1MiB&lock=off");
        string[] arguments = [served.Uri, .. s_lazy, "--timeout", "2s", "--outage-timeout", "1s", "--close-timeout", "2s"];
        await using (var server = await farspan.ServeAsync(arguments))
        {
            await PeerProcess.RunOkAsync("qemu-io", ["-f", "raw", "-c", "write -P 7 0 4096", "-c", "flush", $"nbd+unix:///?socket={directory["s"]}"]);
            await served.KillAsync();
            await server.SignalAsync("INT");
            await server.WaitForExitAsync(s_patience);
            Assert.True(server.ExitCode == 1, server.Report);
            Assert.Contains($"(4096 bytes) were not pushed; they are kept in {directory["cache"]}", server.Error, StringComparison.Ordinal);
            Assert.EndsWith($"--managed --cache {directory["cache"]} --listen 'nbd+unix:///?socket={directory["s"]}'\n", server.Error, StringComparison.Ordinal);
            Assert.True(server.Error.TrimEnd('\n').Split('\n').Length == 1, server.Report);
        }

        await served.RestartAsync();
        await using (var server = await farspan.ServeAsync(arguments))
        {
            await server.SignalAsync("TERM");
            await server.WaitForExitAsync(s_patience);
            Assert.True(server.ExitCode == 0, server.Report);
        }

        Assert.Equal(-1, (await ManagedMountTests.ReadAsync(served["disk"], 0, 4096)).AsSpan().IndexOfAnyExcept((byte)7));
    }

    [RequiresFact("nbdinfo", "qemu-io")]
    public async Task ReadOnly_RefusesWrites_AndAnAddressInUseLeavesNothing()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await ManagedMountTests.WriteRandomAsync(directory["disk"], 1 << 20);
        await using var server = await farspan.ServeAsync("file:disk", "--managed", "--read-only", "--listen", Socket);
        string uri = $"nbd+unix:///?socket={directory["s"]}";
        Assert.Contains("is_read_only: true", await PeerProcess.RunOkAsync("nbdinfo", [uri]), StringComparison.Ordinal);
        string taken = await farspan.FailsAsync(1, "serve", "memory:1MiB", "--managed", "--listen", Socket);
        Assert.Contains("choose another address with --listen", taken, StringComparison.Ordinal);
        Assert.Contains(uri, await farspan.OkAsync("status"), StringComparison.Ordinal);
        await server.SignalAsync("INT");
        await server.WaitForExitAsync(s_patience);
        Assert.True(server.ExitCode == 0, server.Report);
    }
}
