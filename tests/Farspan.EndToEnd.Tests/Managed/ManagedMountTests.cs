using System.Text.Json;
using Farspan.EndToEnd.Tests.Cli;
using Farspan.EndToEnd.Tests.NbdClient;
using Farspan.Mounts.Tracing;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Managed;

/// <summary><c>farspan mount</c>, <c>status</c> and <c>umount</c> as a user meets them.</summary>
public sealed class ManagedMountTests
{
    [RequiresFact("fuse", "nbdkit", "cmp", "dd")]
    public async Task Nbdkit_MountedReadWrittenUnmounted_HasWhatWasWritten()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await using var server = await NbdPeer.StartFileAsync(4 << 20);
        await WriteRandomAsync(server.Disk, 4 << 20);
        File.Copy(server.Disk, directory["before"]);
        using var mounted = JsonDocument.Parse(
            await farspan.OkAsync("mount", $"nbd+unix:///?socket={server.Socket}", "f", "--json", "--cache", "cache", "--pull-first", "0-64KiB,-64KiB"));
        Assert.True(mounted.RootElement.GetProperty("managed").GetBoolean());
        Assert.Equal(directory["cache"], mounted.RootElement.GetProperty("cache").GetString());
        Assert.InRange(mounted.RootElement.GetProperty("localBytes").GetInt64(), 0, 4 << 20);
        await PeerProcess.RunOkAsync("cmp", [directory["before"], directory["f"]]);
        await ZeroAsync(directory["f"], 7);

        // An fsync has completed: the server has it already.
        Assert.Equal(-1, (await ReadAsync(server.Disk, 7 * 4096, 4096)).AsSpan().IndexOfAnyExcept((byte)0));
        await farspan.OkAsync("umount", "f");
        Assert.Empty(farspan.Leftovers());
        await PeerProcess.RunOkAsync("dd", ["if=/dev/zero", $"of={directory["before"]}", "bs=4096", "seek=7", "count=1", "conv=notrunc", "status=none"]);
        await PeerProcess.RunOkAsync("cmp", [directory["before"], server.Disk]);
    }

    [RequiresFact("fuse", "dd")]
    public async Task Status_TellsWhatIsLocalAndDirty_AndListsDirectMountsToo()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await using var served = await ServedExport.StartAsync("unix", "memory:4MiB");
        await farspan.OkAsync("mount", served.Uri, "f", "--no-pull", "--cache", "cache", "--flush", "local", "--push-interval", "1h");
        await farspan.OkAsync("mount", "memory:1MiB", "g", "--direct");
        await ZeroAsync(directory["f"], 3);
        using (var status = JsonDocument.Parse(await farspan.OkAsync("status", "f", "--json")))
        {
            var root = status.RootElement;
            Assert.Equal("managed", root.GetProperty("kind").GetString());
            Assert.Equal("open", root.GetProperty("state").GetString());
            Assert.Equal(directory["f"], root.GetProperty("target").GetString());
            Assert.Equal(served.Uri, root.GetProperty("remote").GetString());
            Assert.Equal(4 << 20, root.GetProperty("length").GetInt64());
            Assert.Equal(64 << 10, root.GetProperty("chunkSize").GetInt32());
            Assert.Equal(4096, root.GetProperty("dirtyBytes").GetInt64());
            Assert.Equal(0, root.GetProperty("pushedBytes").GetInt64());
            Assert.Equal("local", root.GetProperty("flush").GetString());
            Assert.Equal(directory["cache"], root.GetProperty("cache").GetString());
            Assert.False(root.GetProperty("isFenced").GetBoolean());
            Assert.False(root.TryGetProperty("outageSince", out _));
            Assert.All(["localBytes", "pullingBytes", "pushingBytes", "pulledBytes", "pullRate", "pushRate"], name => root.GetProperty(name).GetInt64());
        }

        Assert.Contains("4 KiB, flush is local", await farspan.OkAsync("status", "f"));
        using (var all = JsonDocument.Parse(await farspan.OkAsync("status", "--json")))
        {
            Assert.Equal(["managed", "direct"], all.RootElement.EnumerateArray().Select(mount => mount.GetProperty("kind").GetString()));
            Assert.False(all.RootElement[1].TryGetProperty("dirtyBytes", out _));
        }

        Assert.Contains(directory["g"], await farspan.OkAsync("status"));
        await farspan.OkAsync("umount", "f");
        await farspan.OkAsync("umount", "g");
        Assert.Contains("no Farspan mount", await farspan.FailsAsync(1, "status", "f"));
        Assert.Equal("no mounts\n", await farspan.OkAsync("status"));
    }

    [RequiresFact("fuse")]
    public async Task CacheOfAnotherRemote_IsRefused_AndOneThatIsInUse()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await using var one = await ServedExport.StartAsync("unix", "memory:1MiB");
        await using var other = await ServedExport.StartAsync("unix", "memory:1MiB");
        await farspan.OkAsync("mount", one.Uri, "f", "--cache", "cache");
        string used = await farspan.FailsAsync(1, "mount", one.Uri, "g", "--cache", "cache");
        Assert.Contains("in use by process", used);
        await farspan.OkAsync("umount", "f");
        string wrong = await farspan.FailsAsync(1, "mount", other.Uri, "f", "--cache", "cache");
        Assert.Contains($"is a cache of {one.Uri}, not of {other.Uri}", wrong);
        Assert.Empty(farspan.Leftovers());
    }

    [RequiresFact("fuse", "cmp")]
    public async Task Trace_OrdersThePull_AndThatOfAnotherLengthIsRefused()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await WriteRandomAsync(directory["disk"], 1 << 20);
        new PullTrace(1 << 20, 64 << 10, [new PullTraceRun(15, 1, IsWrite: false), new PullTraceRun(3, 2, IsWrite: true)]).Save(directory["right"]);
        new PullTrace(2 << 20, 64 << 10, [new PullTraceRun(31, 1, IsWrite: false)]).Save(directory["wrong"]);
        Assert.Contains("the trace is one of 2097152 bytes", await farspan.FailsAsync(1, "mount", "file:disk", "f", "--pull-order", "wrong"));
        await farspan.OkAsync("mount", "file:disk?lock=off", "f", "--pull-order", "right");
        await PeerProcess.RunOkAsync("cmp", [directory["disk"], directory["f"]]);
        await farspan.OkAsync("umount", "f");
        Assert.Empty(farspan.Leftovers());
    }

    [RequiresFact("fuse", "root")]
    public async Task ReadOnlyRemote_IsMountedReadOnly()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await using var served = await ServedExport.StartAsync("unix", "memory:1MiB", "--read-only");
        using var mounted = JsonDocument.Parse(await farspan.OkAsync("mount", served.Uri, "f", "--json"));
        Assert.True(mounted.RootElement.GetProperty("readOnly").GetBoolean());
        Assert.Throws<UnauthorizedAccessException>(() => Open(directory["f"]));
        await farspan.OkAsync("umount", "f");

        static void Open(string path)
        {
            try
            {
                using var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
            }
            catch (IOException error) when (error.Message.Contains("Read-only", StringComparison.Ordinal))
            {
                throw new UnauthorizedAccessException(error.Message, error);
            }
        }
    }

    [RequiresTheory("fuse", "dd", "cmp")]
    [InlineData("INT")]
    [InlineData("TERM")]
    public async Task ForegroundSignalled_PushesEverything(string signal)
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await WriteRandomAsync(directory["disk"], 1 << 20);
        await using (var mount = farspan.Start("mount", "file:disk?lock=off", "f", "--foreground", "--cache", "cache", "--flush", "local", "--push-interval", "1h"))
        {
            await mount.WaitUntilAsync(peer => peer.Output.Contains("mounted ", StringComparison.Ordinal), TimeSpan.FromSeconds(60));
            await ZeroAsync(directory["f"], 5);
            Assert.NotEqual(-1, (await ReadAsync(directory["disk"], 5 * 4096, 4096)).AsSpan().IndexOfAnyExcept((byte)0));
            await mount.SignalAsync(signal);
            await mount.WaitForExitAsync(TimeSpan.FromSeconds(60));
            Assert.True(mount.ExitCode == 0, mount.Report);
        }

        Assert.Equal(-1, (await ReadAsync(directory["disk"], 5 * 4096, 4096)).AsSpan().IndexOfAnyExcept((byte)0));
        Assert.Empty(farspan.Leftovers());
    }

    /// <summary>Writes zeroes over a page of a file, and makes that durable.</summary>
    internal static Task ZeroAsync(string path, int page)
        => PeerProcess.RunOkAsync("dd", ["if=/dev/zero", $"of={path}", "bs=4096", $"seek={page}", "count=1", "conv=notrunc,fsync", "status=none"]);

    internal static async Task<byte[]> ReadAsync(string path, long offset, int length)
    {
        byte[] bytes = new byte[length];
        await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        file.Position = offset;
        await file.ReadExactlyAsync(bytes);
        return bytes;
    }

    internal static async Task WriteRandomAsync(string path, int length)
    {
        byte[] bytes = new byte[length];
        new Random(1).NextBytes(bytes);
        await using var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite);
        await file.WriteAsync(bytes);
    }
}
