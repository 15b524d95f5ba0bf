using Farspan.TestKit;
using Farspan.TestKit.Fuse;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Fuse;

/// <summary>How a mount ends when something is in its way: other mounts, backends that stand still, faults. Another process serves it.</summary>
public sealed class FuseMountEndTests
{
    private const string ReadAheadScript = "import os,sys\nf=os.open(sys.argv[1],os.O_RDONLY)\nos.posix_fadvise(f,0,1<<16,os.POSIX_FADV_WILLNEED)\nos._exit(0)";

    [RequiresTheory("root", "fuse", "mount", "umount")]
    [InlineData("unmount")]
    [InlineData("dispose")]
    public async Task MountedOver_TheOtherMountStays(string command)
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllTextAsync(directory["other"], "other");
        await using var host = await FuseHost.StartAsync(directory["disk"], "close-timeout=0.5");
        await PeerProcess.RunOkAsync("mount", ["--bind", directory["other"], host.Path]);
        try
        {
            string answer = await host.AskAsync(command);
            Assert.StartsWith("failed MountException", answer, StringComparison.Ordinal);
            Assert.Contains("is mounted over it", answer, StringComparison.Ordinal);
            Assert.Equal("other", await File.ReadAllTextAsync(host.Path));
        }
        finally
        {
            await PeerProcess.RunOkAsync("umount", [host.Path]);
        }

        if (command == "unmount")
            await host.TellAsync("unmount", "unmounted");
        else
            await PeerProcess.RunOkAsync("umount", [host.Path]);
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse", "mount", "umount")]
    public async Task Replaced_ByAnotherMount_WhichStays()
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllTextAsync(directory["other"], "other");
        await File.WriteAllTextAsync(directory["disk"], "below");
        await using var host = await FuseHost.StartAsync(directory["disk"], "close-timeout=0.5");
        using (File.OpenHandle(host.Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite))
        {
            await PeerProcess.RunOkAsync("umount", ["-l", host.Path]);
            await PeerProcess.RunOkAsync("mount", ["--bind", directory["other"], host.Path]);
            Assert.Contains("its users were cut off", await host.AskAsync("unmount"), StringComparison.Ordinal);
        }

        Assert.Equal("other", await File.ReadAllTextAsync(host.Path));
        await PeerProcess.RunOkAsync("umount", [host.Path]);
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task DirectoryAbove_Renamed_IsUnmountedWhereItIs()
    {
        using var directory = new TemporaryDirectory();
        Directory.CreateDirectory(directory["a"]);
        await using var host = await FuseHost.StartAsync(directory["a/disk"]);
        Directory.Move(directory["a"], directory["b"]);
        await FuseMountTests.WriteAsync(directory["b/disk"], 0, [1]);
        await host.TellAsync("unmount", "unmounted");
        Assert.Empty(FuseConnection.Mounts(directory.Path));
        Assert.Empty(Directory.GetFileSystemEntries(directory["b"]));
        await host.EndAsync();
    }

    // The reader has gone, so the file is not in use; unmounting waits for the pages that were asked for.
    [RequiresTheory("root", "fuse", "python3")]
    [InlineData("blocks=off")]
    [InlineData("blocks=on")]
    public async Task Unmount_WhileAnOperationNeverEnds_CutsItOff_AndFails(string knob)
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], "close-timeout=0.5", "busy-timeout=30", "lends=off", "deaf=on", knob);
        await host.TellAsync("hold on");
        await PeerProcess.RunOkAsync("python3", ["-c", ReadAheadScript, host.Path]);
        await Eventually.HoldsAsync(async () => await host.CountAsync("running") > 0);
        string answer = await host.AskAsync("unmount");
        Assert.StartsWith("failed MountException", answer, StringComparison.Ordinal);
        Assert.Empty(FuseConnection.Mounts(directory.Path));
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
        Assert.Equal(answer, await host.AskAsync("unmount"));
        await host.EndAsync();
    }

    [RequiresTheory("root", "fuse", "dd")]
    [InlineData("blocks=off")]
    [InlineData("blocks=on")]
    public async Task Dispose_WhileAnOperationNeverEnds_FreesItsUser(string knob)
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], "close-timeout=0.5", "lends=off", "deaf=on", knob);
        await host.TellAsync("hold on");
        await using var user = PeerProcess.Start("dd", [$"if={host.Path}", "of=/dev/null", "bs=4096", "count=1", "iflag=direct"]);
        await Eventually.HoldsAsync(async () => await host.CountAsync("running") > 0);
        Assert.StartsWith("failed MountException", await host.AskAsync("dispose"), StringComparison.Ordinal);
        await user.WaitForExitAsync(TimeSpan.FromSeconds(60));
        Assert.NotEqual(0, user.ExitCode);
        Assert.Empty(FuseConnection.Mounts(directory.Path));
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse", "xfs_io")]
    public async Task SlowWriteBack_ThatGoesOn_IsNotCutOff()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], "close-timeout=0.3", "requests=3", "threads=1", "writeback=on", "longest=4096");
        await host.TellAsync("delay 20");
        await PeerProcess.RunOkAsync("xfs_io", ["-c", "pwrite -S 7 0 256k", host.Path]);
        await host.TellAsync("unmount", "unmounted");
        Assert.All(await host.PeekAsync(0, 256 << 10), b => Assert.Equal(7, b));
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task ThreadThatFails_TakesTheMountDown_AndIsReported()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], "logger=throws", "lends=off");
        await host.TellAsync("fail read InputOutput");
        await Assert.ThrowsAnyAsync<IOException>(() => FuseMountTests.ReadAsync(host.Path, 0, 10));
        Assert.StartsWith("failed MountException A thread that serves the mount failed: The logger is broken", await host.AskAsync("wait"), StringComparison.Ordinal);
        Assert.Empty(FuseConnection.Mounts(directory.Path));
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
        await host.AskAsync("unmount");
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse", "umount", "mount")]
    public async Task ConnectionAbortedFromOutside_TakesTheMountDown_AndIsReported()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"]);
        string minor = FuseConnection.Mounts(directory.Path).Single().Minor;
        string abort = $"/sys/fs/fuse/connections/{minor}/abort";
        if (!File.Exists(abort))
            await PeerProcess.RunOkAsync("mount", ["-t", "fusectl", "none", "/sys/fs/fuse/connections"]);
        await File.WriteAllTextAsync(abort, "1");
        Assert.Contains("aborted from outside", await host.AskAsync("wait"), StringComparison.Ordinal);
        Assert.Empty(FuseConnection.Mounts(directory.Path));
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
        await host.AskAsync("unmount");
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task ShortestRequests_Work()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], "longest=4096", "lends=off");
        byte[] bytes = new byte[100_001];
        new Random(1).NextBytes(bytes);
        await FuseMountTests.WriteAsync(host.Path, 5000, bytes);
        Assert.Equal(bytes, await FuseMountTests.ReadAsync(host.Path, 5000, bytes.Length));
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse", "python3")]
    public async Task TruncationByName_IsRefused_AndOpeningWithTruncationIsNot()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], "size=1000000");
        const string script = """
            import errno, os, sys
            path = sys.argv[1]
            def refused(size):
                try:
                    os.truncate(path, size)
                    return "done"
                except OSError as error:
                    return errno.errorcode[error.errno]
            print(refused(0), refused(5), refused(2000000), refused(1000000))
            os.close(os.open(path, os.O_RDWR | os.O_TRUNC))
            print(refused(0), os.stat(path).st_size)
            """;
        Assert.Equal("EPERM EPERM EFBIG done\nEPERM 1000000\n", await PeerProcess.RunOkAsync("python3", ["-c", script, host.Path]));
        await host.EndAsync();
    }
}
