using System.Text.Json;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Cli;

public sealed class MountTests
{
    [RequiresFact("fuse", "sqlite3", "dd")]
    public async Task ServedDatabase_MountedQueriedChangedUnmounted_ChangeIsAtTheServer()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await PeerProcess.RunOkAsync("sqlite3", [directory["disk.img"]], input: "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT); INSERT INTO t VALUES(1,'one'),(2,'two');");
        await using var server = await farspan.ServeAsync("file:disk.img", "--listen", "nbd+unix:///?socket=s");
        await farspan.OkAsync("mount", "nbd+unix:///?socket=s", "mounted.img", "--direct");
        Assert.Equal("two\n", await PeerProcess.RunOkAsync("sqlite3", [directory["mounted.img"], "SELECT b FROM t WHERE a=2"]));
        await PeerProcess.RunOkAsync("sqlite3", [directory["mounted.img"], "UPDATE t SET b='changed' WHERE a=2"]);
        await PeerProcess.RunOkAsync("dd", [$"if={directory["mounted.img"]}", "of=/dev/null", "status=none"]);
        await farspan.OkAsync("umount", "mounted.img");
        Assert.False(File.Exists(directory["mounted.img"]));
        Assert.Equal("changed\n", await PeerProcess.RunOkAsync("sqlite3", [directory["disk.img"], "SELECT b FROM t WHERE a=2"]));
        await server.SignalAsync("TERM");
        await server.WaitForExitAsync(TimeSpan.FromSeconds(60));
        Assert.Empty(farspan.Leftovers());
        Assert.Empty(Directory.GetFiles(directory["run"]));
    }

    [RequiresFact("fuse", "nbdkit", "cmp")]
    public async Task NbdkitOnAUnixSocket_IsMountedWithoutFurtherOptions()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await File.WriteAllBytesAsync(directory["data"], Bytes(1 << 20));
        await using var nbdkit = PeerProcess.Start("nbdkit", ["-f", "-U", directory["k"], "file", directory["data"]]);
        await nbdkit.WaitForSocketAsync(directory["k"]);
        await MountCompareUnmountAsync(directory, farspan, $"nbd+unix:///?socket={directory["k"]}");
    }

    [RequiresFact("fuse", "qemu-nbd", "cmp")]
    public async Task QemuNbdOnAUnixSocket_IsMountedWithoutFurtherOptions()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await File.WriteAllBytesAsync(directory["data"], Bytes(1 << 20));
        await using var qemu = PeerProcess.Start("qemu-nbd", ["-f", "raw", "-t", "-k", directory["q"], directory["data"]]);
        await qemu.WaitForSocketAsync(directory["q"]);
        await MountCompareUnmountAsync(directory, farspan, $"nbd+unix:///?socket={directory["q"]}");
    }

    [RequiresFact("fuse", "sleep")]
    public async Task BusyMount_UmountNamesTheUserAndStaysMounted_ForceEndsIt()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await farspan.OkAsync("mount", "memory:1MiB", "f");
        await using (var user = PeerProcess.Start("sh", ["-c", $"exec 3<'{directory["f"]}'; echo open; exec sleep 100"]))
        {
            await user.WaitUntilAsync(peer => peer.Output.Contains("open", StringComparison.Ordinal));
            string line = await farspan.FailsAsync(1, "umount", "f");
            Assert.Contains($"(pid {user.Id})", line);
            Assert.True(File.Exists(directory["f"]));
        }

        await farspan.OkAsync("umount", "f", "--force");
        Assert.Empty(farspan.Leftovers());
    }

    [RequiresFact("fuse", "umount", "root")]
    public async Task UnmountedByTheSystemsOwnProgram_ProcessEndsByItself()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await farspan.OkAsync("mount", "memory:1MiB", "f");
        await PeerProcess.RunOkAsync("umount", [directory["f"]]);
        await Eventually.HoldsAsync(() => farspan.Leftovers().Count == 0 && Directory.GetFiles(directory["run"]).Length == 0);
        Assert.Empty(farspan.Leftovers());
    }

    [RequiresFact("fuse", "root")]
    public async Task ProcessWasKilled_UmountCleansUpAndTheNextMountWorks()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        using var mounted = JsonDocument.Parse(await farspan.OkAsync("mount", "memory:1MiB", "f", "--json"));
        using (var process = System.Diagnostics.Process.GetProcessById(mounted.RootElement.GetProperty("processId").GetInt32()))
        {
            process.Kill();
            await process.WaitForExitAsync();
        }

        string line = await farspan.FailsAsync(1, "umount", "f");
        Assert.Contains("had died", line);
        Assert.Contains("may be lost", line);
        Assert.Empty(farspan.Leftovers());
        Assert.Empty(Directory.GetFiles(directory["run"]));
        Assert.False(File.Exists(directory["f"]));
        await farspan.OkAsync("mount", "memory:2MiB", "f");
        Assert.Equal(2 << 20, new FileInfo(directory["f"]).Length);
        await farspan.OkAsync("umount", "f");
    }

    [RequiresFact("fuse")]
    public async Task TargetTwice_SecondIsRefusedAndNamesTheFirst()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await farspan.OkAsync("mount", "memory:1MiB", "f");
        Assert.Contains("mounted already", await farspan.FailsAsync(1, "mount", "memory:1MiB", "f"));
        await farspan.OkAsync("umount", "f");
        Assert.Contains("no Farspan mount", await farspan.FailsAsync(1, "umount", "f"));
    }

    [RequiresFact("fuse")]
    public async Task Directory_GetsTheFileInside()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        Directory.CreateDirectory(directory["d"]);
        await farspan.OkAsync("mount", "memory:1MiB", "d", "--file-name", "disk", "--read-only");
        Assert.Equal([directory["d/disk"]], Directory.GetFiles(directory["d"]));
        await farspan.OkAsync("umount", "d/disk");
        Assert.Empty(Directory.GetFiles(directory["d"]));
    }

    [RequiresFact("fuse")]
    public async Task Foreground_ServesUntilASignalAndCleansUp()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        await using var mount = farspan.Start("mount", "memory:1MiB", "f", "--foreground");
        await mount.WaitUntilAsync(peer => peer.Output.Contains("mounted ", StringComparison.Ordinal), TimeSpan.FromSeconds(60));
        await mount.SignalAsync("INT");
        await mount.WaitForExitAsync(TimeSpan.FromSeconds(60));
        Assert.True(mount.ExitCode == 0, mount.Report);
        Assert.False(File.Exists(directory["f"]));
    }

    [Fact(Timeout = 120_000)]
    public async Task NoServer_OneLineFromTheBackgroundProcess()
    {
        using var directory = new TemporaryDirectory();
        var farspan = new FarspanProcess(directory);
        string line = await farspan.FailsAsync(1, "mount", $"nbd+unix:///?socket={directory["nobody"]}", "f");
        Assert.StartsWith("farspan mount: ", line, StringComparison.Ordinal);
        Assert.Contains("nobody", line);
        Assert.Empty(farspan.Leftovers());
    }

    private static byte[] Bytes(int count)
    {
        byte[] bytes = new byte[count];
        new Random(1).NextBytes(bytes);
        return bytes;
    }

    private static async Task MountCompareUnmountAsync(TemporaryDirectory directory, FarspanProcess farspan, string uri)
    {
        await farspan.OkAsync("mount", uri, "other.img");
        await PeerProcess.RunOkAsync("cmp", [directory["data"], directory["other.img"]]);
        await PeerProcess.RunOkAsync("dd", ["if=/dev/zero", $"of={directory["other.img"]}", "bs=4096", "seek=7", "count=3", "conv=notrunc,fsync", "status=none"]);
        await PeerProcess.RunOkAsync("cmp", [directory["data"], directory["other.img"]]);
        await farspan.OkAsync("umount", "other.img");
        byte[] now = await File.ReadAllBytesAsync(directory["data"]);
        Assert.False(now.AsSpan(7 * 4096, 3 * 4096).ContainsAnyExcept((byte)0));
    }
}
