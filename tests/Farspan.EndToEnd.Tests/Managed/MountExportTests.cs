using System.Text.Json;
using Farspan.EndToEnd.Tests.Cli;
using Farspan.EndToEnd.Tests.NbdClient;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Managed;

/// <summary>One mount for several programs: as a file, for NBD clients, and as <c>mount:TARGET</c>.</summary>
public sealed class MountExportTests
{
    private static readonly string[] s_lazy = ["--no-pull", "--cache", "cache", "--flush", "local", "--push-interval", "1h"];

    [RequiresFact("fuse", "nbdinfo", "nbdcopy", "dd", "cmp")]
    public async Task Listen_LetsNbdClientsReadTheMount_AndSeeWhatIsDirty()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await ManagedMountTests.WriteRandomAsync(directory["disk"], 1 << 20);
        using var mounted = JsonDocument.Parse(await farspan.OkAsync(
            ["mount", "file:disk", "f", "--json", .. s_lazy, "--listen", "nbd://127.0.0.1:0", "--listen", "nbd+unix:///?socket=listen.sock"]));
        string[] uris = [.. mounted.RootElement.GetProperty("listens").EnumerateArray().Select(uri => uri.GetString()!)];
        Assert.Equal(["nbd", "nbd+unix"], uris.Select(uri => new Uri(uri).Scheme));
        await ManagedMountTests.ZeroAsync(directory["f"], 32);
        foreach (string uri in uris)
        {
            using var info = JsonDocument.Parse(await PeerProcess.RunOkAsync("nbdinfo", ["--json", "--no-content", uri]));
            Assert.True(info.RootElement.GetProperty("exports")[0].GetProperty("is_read_only").GetBoolean());
            using var dirty = JsonDocument.Parse(await PeerProcess.RunOkAsync("nbdinfo", ["--map=x-farspan:dirty", "--json", uri]));
            Assert.Contains(
                dirty.RootElement.EnumerateArray(),
                run => run.GetProperty("type").GetInt32() == 1 && run.GetProperty("offset").GetInt64() <= 32 * 4096
                    && run.GetProperty("offset").GetInt64() + run.GetProperty("length").GetInt64() >= 33 * 4096);
        }

        await PeerProcess.RunOkAsync("nbdcopy", [uris[0], directory["copy"]]);
        await PeerProcess.RunOkAsync("cmp", [directory["f"], directory["copy"]]);
        await farspan.OkAsync("umount", "f");
        await PeerProcess.RunOkAsync("cmp", [directory["disk"], directory["copy"]]);
        Assert.Empty(farspan.Leftovers());
        Assert.False(File.Exists(directory["listen.sock"]));
    }

    [RequiresFact("fuse", "qemu-img", "nbdinfo", "dd")]
    public async Task Listen_TellsQemuAndNbdinfoWhatIsLocalAndDirty()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await ManagedMountTests.WriteRandomAsync(directory["disk"], 1 << 20);
        await farspan.OkAsync(["mount", "file:disk", "f", .. s_lazy, "--chunk", "64KiB", "--listen", "nbd+unix:///?socket=listen.sock"]);

        // The fifth chunk is read and so local; a page in the ninth is written, which is all that is dirty.
        await PeerProcess.RunOkAsync("dd", [$"if={directory["f"]}", "of=/dev/null", "bs=64K", "skip=4", "count=1", "iflag=direct", "status=none"]);
        await ManagedMountTests.ZeroAsync(directory["f"], 130);
        (long Offset, long Length)[] dirty = [(130 * 4096, 4096)];
        Assert.Equal(dirty, await QemuMapAsync("dirty"));
        Assert.Equal(dirty, await NbdinfoMapAsync("dirty"));
        var local = await QemuMapAsync("local");
        Assert.Equal(local, await NbdinfoMapAsync("local"));
        Assert.Contains((4 * 65536, 65536), local);
        Assert.Contains(local, run => run.Offset <= 130 * 4096 && run.Offset + run.Length >= 131 * 4096);
        Assert.DoesNotContain(local, run => run.Offset + run.Length > 12 * 65536);
        await farspan.OkAsync("umount", "f");

        // qemu takes the first bit of the context in the place of base:allocation for "no data".
        async Task<(long Offset, long Length)[]> QemuMapAsync(string name) => Runs(
            await PeerProcess.RunOkAsync(
                "qemu-img",
                ["map", "--output=json", "--image-opts", $"driver=nbd,server.type=unix,server.path={directory["listen.sock"]},x-dirty-bitmap=x-farspan:{name}"]),
            "start",
            run => !run.GetProperty("data").GetBoolean());

        async Task<(long Offset, long Length)[]> NbdinfoMapAsync(string name) => Runs(
            await PeerProcess.RunOkAsync("nbdinfo", ["--json", $"--map=x-farspan:{name}", $"nbd+unix:///?socket={directory["listen.sock"]}"]),
            "offset",
            run => run.GetProperty("type").GetInt32() == 1);
    }

    [RequiresFact("fuse", "nbdinfo", "nbdcopy", "cmp")]
    public async Task ListenOverTls_LetsClientsThatTrustItRead_AndTurnsPlainTextAway()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        TestCertificates.Write(directory["pki"], "localhost", withClient: false);
        await ManagedMountTests.WriteRandomAsync(directory["disk"], 1 << 20);
        using var mounted = JsonDocument.Parse(await farspan.OkAsync(
            "mount", "file:disk", "f", "--json", "--cache", "cache", "--listen", "nbd://127.0.0.1:0", "--tls-certificates", "pki"));
        int port = new Uri(mounted.RootElement.GetProperty("listens")[0].GetString()!).Port;
        string trusting = $"nbds://localhost:{port}/?tls-certificates={directory["pki"]}";
        Assert.Contains("with TLS", await PeerProcess.RunOkAsync("nbdinfo", [trusting]), StringComparison.Ordinal);
        await PeerProcess.RunOkAsync("nbdcopy", [trusting, directory["copy"]]);
        await PeerProcess.RunOkAsync("cmp", [directory["disk"], directory["copy"]]);
        await using (var plain = await PeerProcess.RunAsync("nbdinfo", [$"nbd://localhost:{port}/"]))
            Assert.NotEqual(0, plain.ExitCode);
        TestCertificates.Write(directory["other"], "localhost", withClient: false);
        await using (var stranger = await PeerProcess.RunAsync("nbdinfo", [$"nbds://localhost:{port}/?tls-certificates={directory["other"]}"]))
            Assert.NotEqual(0, stranger.ExitCode);
        await farspan.OkAsync("umount", "f");
        Assert.Empty(farspan.Leftovers());
    }

    [RequiresFact("fuse", "dd", "cmp")]
    public async Task ListenOnFarspansOwnWire_LetsItsClientsReadTheMount_AndNotWrite()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await ManagedMountTests.WriteRandomAsync(directory["disk"], 1 << 20);
        using var mounted = JsonDocument.Parse(await farspan.OkAsync(
            ["mount", "file:disk", "f", "--json", .. s_lazy, "--listen", "farspan://127.0.0.1:0", "--listen", "farspan+unix:///?socket=own.sock", "--listen", "nbd://127.0.0.1:0"]));
        string[] uris = [.. mounted.RootElement.GetProperty("listens").EnumerateArray().Select(uri => uri.GetString()!)];
        Assert.Equal(["farspan", "farspan+unix", "nbd"], uris.Select(uri => new Uri(uri).Scheme));
        await ManagedMountTests.ZeroAsync(directory["f"], 32);
        for (int i = 0; i < uris.Length; i++)
        {
            await farspan.OkAsync("copy", uris[i], $"file:copy{i}");
            await PeerProcess.RunOkAsync("cmp", [directory["f"], directory[$"copy{i}"]]);
            Assert.Contains("can only be read", await farspan.FailsAsync(1, "copy", "memory:1MiB", uris[i]), StringComparison.Ordinal);
        }

        await farspan.OkAsync("umount", "f");
        Assert.Empty(farspan.Leftovers());
        Assert.False(File.Exists(directory["own.sock"]));
    }

    [RequiresFact("fuse", "dd", "cmp")]
    public async Task MountAsBackend_IsTheMountsBytes()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await ManagedMountTests.WriteRandomAsync(directory["disk"], 1 << 20);
        await farspan.OkAsync(["mount", "file:disk", "f", .. s_lazy]);
        await ManagedMountTests.ZeroAsync(directory["f"], 9);
        using (var info = JsonDocument.Parse(await farspan.OkAsync("info", "mount:f", "--json")))
            Assert.Contains("1048576", info.RootElement.GetRawText(), StringComparison.Ordinal);
        await farspan.OkAsync("copy", $"mount:{directory["f"]}", "file:copy");
        await PeerProcess.RunOkAsync("cmp", [directory["f"], directory["copy"]]);
        await farspan.OkAsync("umount", "f");
        Assert.Contains("no running Farspan mount", await farspan.FailsAsync(1, "info", "mount:f"), StringComparison.Ordinal);
        Assert.Empty(farspan.Leftovers());
    }

    [RequiresFact("fuse", "nbdinfo", "dd")]
    public async Task MountServedOn_TellsTheMapsOfTheMount()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await ManagedMountTests.WriteRandomAsync(directory["disk"], 1 << 20);
        await farspan.OkAsync(["mount", "file:disk", "f", .. s_lazy]);
        await ManagedMountTests.ZeroAsync(directory["f"], 32);
        await using (await farspan.ServeAsync("mount:f", "--listen", "nbd+unix:///?socket=again.sock"))
        {
            string uri = $"nbd+unix:///?socket={directory["again.sock"]}";
            using var dirty = JsonDocument.Parse(await PeerProcess.RunOkAsync("nbdinfo", ["--map=x-farspan:dirty", "--json", uri]));
            Assert.Contains(dirty.RootElement.EnumerateArray(), run => run.GetProperty("type").GetInt32() == 1);
            using var local = JsonDocument.Parse(await PeerProcess.RunOkAsync("nbdinfo", ["--map=x-farspan:local", "--json", uri]));
            Assert.Equal([0, 1], local.RootElement.EnumerateArray().Select(run => run.GetProperty("type").GetInt32()).Distinct().Order());
        }

        await farspan.OkAsync("umount", "f");
        Assert.Empty(farspan.Leftovers());
    }

    [RequiresFact("fuse")]
    public async Task ListenerForOtherMachines_NeedsTlsOrInsecure_AndOneInUseLeavesNothing()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        Assert.Contains("--insecure", await farspan.FailsAsync(2, "mount", "memory:1MiB", "f", "--listen", "nbd://0.0.0.0:0"), StringComparison.Ordinal);
        Assert.Contains("--listen", await farspan.FailsAsync(1, "mount", "memory:1MiB", "f", "--listen", "nbd+unix:///?socket=/nowhere/at/all"), StringComparison.Ordinal);
        Assert.Empty(farspan.Leftovers());
    }

    [RequiresFact("fuse", "dd", "cmp")]
    public async Task RecordedRun_IsShown_AndPullsInItsOrder()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await ManagedMountTests.WriteRandomAsync(directory["disk"], 4 << 20);
        Assert.Contains("recorded for trace", await farspan.OkAsync("trace", "record", "file:disk", "f", "--output", "trace"), StringComparison.Ordinal);
        _ = await ManagedMountTests.ReadAsync(directory["f"], 3 << 20, 4096);
        await ManagedMountTests.ZeroAsync(directory["f"], 9);
        await farspan.OkAsync("umount", "f");
        string shown = await farspan.OkAsync("trace", "show", "trace");
        Assert.Contains("region 4 MiB", shown, StringComparison.Ordinal);
        string[] lines = await File.ReadAllLinesAsync(directory["trace"]);
        Assert.StartsWith("r 48 ", lines[3], StringComparison.Ordinal);
        Assert.Contains("w 0 1", lines);

        await farspan.OkAsync("mount", "file:disk", "f", "--pull-order", "trace");
        await PeerProcess.RunOkAsync("cmp", [directory["f"], directory["disk"]]);
        await farspan.OkAsync("umount", "f");
        await ManagedMountTests.WriteRandomAsync(directory["other"], 1 << 20);
        await RecordDirectAsync(farspan, directory);
        Assert.Contains("the trace is one of 4194304 bytes", await farspan.FailsAsync(1, "mount", "file:other", "f", "--pull-order", "trace"), StringComparison.Ordinal);
        Assert.Empty(farspan.Leftovers());
    }

    private static (long Offset, long Length)[] Runs(string map, string offset, Func<JsonElement, bool> isSet)
    {
        using var document = JsonDocument.Parse(map);
        return [.. document.RootElement.EnumerateArray().Where(isSet).Select(run => (run.GetProperty(offset).GetInt64(), run.GetProperty("length").GetInt64()))];
    }

    // Ctrl-C writes it too, and "mount --record" records the same.
    private static async Task RecordDirectAsync(FarspanProcess farspan, TemporaryDirectory directory)
    {
        await using (var recording = farspan.Start("mount", "file:disk", "f", "--direct", "--record", "direct", "--foreground"))
        {
            await recording.WaitUntilAsync(peer => peer.Output.Contains("mounted ", StringComparison.Ordinal), TimeSpan.FromSeconds(60));
            _ = await ManagedMountTests.ReadAsync(directory["f"], 1 << 20, 4096);
            await recording.SignalAsync("INT");
            await recording.WaitForExitAsync(TimeSpan.FromSeconds(60));
            Assert.True(recording.ExitCode == 0, recording.Report);
        }

        Assert.StartsWith("r 16 ", (await File.ReadAllLinesAsync(directory["direct"]))[3], StringComparison.Ordinal);
    }
}
