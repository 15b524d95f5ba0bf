using System.Collections.Concurrent;
using System.Diagnostics;
using Farspan.TestKit;
using Farspan.TestKit.Fuse;
using Farspan.TestKit.Peers;
using Microsoft.Win32.SafeHandles;
using Xunit;

namespace Farspan.Linux.Tests.Fuse;

/// <summary>What goes wrong around a mounted file: errors, users that stay, servers that die, signals. Another process serves it.</summary>
public sealed class FuseMountTroubleTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    [RequiresFact("root", "fuse")]
    public async Task BackendErrors_AreSeen_AndGoneWhenTheBackendRecovers()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"]);
        await host.TellAsync("fail read InputOutput");
        await Assert.ThrowsAnyAsync<IOException>(() => FuseMountTests.ReadAsync(host.Path, 0, 10));
        await host.TellAsync("fail read off");
        Assert.Equal(new byte[10], await FuseMountTests.ReadAsync(host.Path, 0, 10));
        await host.TellAsync("fail write NoSpace");
        var full = await Assert.ThrowsAnyAsync<IOException>(() => FuseMountTests.WriteAsync(host.Path, 0, [1]));
        Assert.Contains("space", full.Message, StringComparison.OrdinalIgnoreCase);
        await host.TellAsync("fail write off");
        await FuseMountTests.WriteAsync(host.Path, 0, [1]);
        await host.TellAsync("fail flush InputOutput");
        await using (var sync = await PeerProcess.RunAsync("sync", ["-d", host.Path]))
            Assert.NotEqual(0, sync.ExitCode);
        await host.TellAsync("fail flush off");
        await PeerProcess.RunOkAsync("sync", ["-d", host.Path]);
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task FailedLastFlush_FailsTheUnmount_WhichHasHappenedNevertheless()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"]);
        await FuseMountTests.WriteAsync(host.Path, 0, [1]);
        await host.TellAsync("fail flush Disconnected");
        string answer = await host.AskAsync("unmount");
        Assert.StartsWith("failed BackendException The last flush failed: The knob says Disconnected.", answer, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse", "xfs_io")]
    public async Task LostPages_FailTheUnmount()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"]);
        await host.TellAsync("fail write NoSpace");
        await using (await PeerProcess.RunAsync("xfs_io", ["-c", "mmap -rw 0 4k", "-c", "mwrite 0 4k", "-c", "munmap", host.Path]))
            await host.TellAsync("fail write off");
        string answer = await host.AskAsync("unmount");
        Assert.StartsWith("failed BackendException 1 writes from the page cache failed and are lost", answer, StringComparison.Ordinal);
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task Unmount_OfAFileInUse_IsRefused_AndPossibleAfterwards()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], "busy-timeout=0.1");
        using (var file = File.OpenHandle(host.Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            string answer = await host.AskAsync("unmount");
            Assert.StartsWith("failed MountException", answer, StringComparison.Ordinal);
            Assert.Contains("is in use and stays mounted", answer, StringComparison.Ordinal);
            RandomAccess.Write(file, [5], 7);
        }

        Assert.Equal([5], await FuseMountTests.ReadAsync(host.Path, 7, 1));
        await host.TellAsync("unmount", "unmounted");
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task Dispose_OfAFileInUse_DetachesIt_AndServesUntilItIsClosed()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], "busy-timeout=0");
        Task<string> answer;
        using (var file = File.OpenHandle(host.Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            answer = host.AskAsync("dispose");
            await Eventually.HoldsAsync(() => FuseConnection.Mounts(directory.Path).Count == 0);
            RandomAccess.Write(file, [5], 7);
            Assert.False(answer.IsCompleted);
        }

        string said = await answer;
        Assert.True(said == "disposed", said);
        Assert.Equal([5], await host.PeekAsync(7, 1));
        Assert.Equal(1, await host.CountAsync("flushes"));
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task Dispose_WhenTheUserNeverCloses_CutsItOffInTime()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], "close-timeout=0.5");
        using var file = File.OpenHandle(host.Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        string answer = await host.AskAsync("dispose");
        Assert.StartsWith("failed MountException", answer, StringComparison.Ordinal);
        Assert.Contains("its users were cut off", answer, StringComparison.Ordinal);
        Assert.ThrowsAny<IOException>(() => RandomAccess.Write(file, [5], 7));
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task Dispose_WhileTheBackendStandsStill_EndsInTime()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], "close-timeout=0.5", "lends=off");
        await host.TellAsync("hold on");
        var reading = Task.Run(() => FuseMountTests.ReadAsync(host.Path, 0, 10));
        await Eventually.HoldsAsync(async () => await host.CountAsync("running") > 0);
        string answer = await host.AskAsync("dispose");
        Assert.StartsWith("failed MountException", answer, StringComparison.Ordinal);
        await Assert.ThrowsAnyAsync<IOException>(() => reading.WaitAsync(s_patience));
        Assert.True(await host.CountAsync("cancelled") > 0);
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse", "umount")]
    public async Task UnmountFromOutside_EndsTheMount_WithAFlush()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"]);
        await FuseMountTests.WriteAsync(host.Path, 0, [1]);
        await PeerProcess.RunOkAsync("umount", [host.Path]);
        await host.TellAsync("wait", "completed");
        Assert.Equal(1, await host.CountAsync("flushes"));
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
        await host.TellAsync("unmount", "unmounted");
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse", "umount")]
    public async Task LazyUnmountFromOutside_ServesTheLastUser_ThenEnds()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"]);
        using (var file = File.OpenHandle(host.Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            await PeerProcess.RunOkAsync("umount", ["-l", host.Path]);
            RandomAccess.Write(file, [1, 2, 3], 0);
        }

        await host.TellAsync("wait", "completed");
        Assert.Equal([1, 2, 3], await host.PeekAsync(0, 3));
        await host.EndAsync();
    }

    [RequiresTheory("root", "fuse")]
    [InlineData("disk")]
    [InlineData("d")]
    public async Task ServerThatDied_LeavesErrors_AndTheNextMountCleansUp(string target)
    {
        using var directory = new TemporaryDirectory();
        Directory.CreateDirectory(directory["d"]);
        await using var first = await FuseHost.StartAsync(directory[target]);
        using (var file = File.OpenHandle(first.Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            await first.Process.SignalAsync("KILL");
            await Eventually.HoldsAsync(() => first.Process.HasExited);
            var error = Assert.ThrowsAny<IOException>(() => RandomAccess.Read(file, new byte[1], 0));
            Assert.Contains("not connected", error.Message, StringComparison.OrdinalIgnoreCase);
        }

        await using (var second = await FuseHost.StartAsync(directory[target]))
        {
            Assert.Equal(new byte[4], await FuseMountTests.ReadAsync(second.Path, 0, 4));
            await second.EndAsync();
        }

        Assert.Equal([directory["d"]], Directory.GetFileSystemEntries(directory.Path));
        Assert.Empty(FuseConnection.Mounts(directory.Path));
    }

    [RequiresFact("root", "fuse")]
    public async Task ProcessThatExitsWithoutDisposing_LeavesNoDeadMount()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"]);
        await Assert.ThrowsAsync<InvalidOperationException>(() => host.AskAsync("exit"));
        Assert.Equal(7, host.Process.ExitCode);
        Assert.Empty(FuseConnection.Mounts(directory.Path));
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
    }

    // Read-ahead is the kernel's own request, and goes on; what the program itself waits for is given up.
    [RequiresTheory("root", "fuse", "dd")]
    [InlineData("if={0} of=/dev/null bs=4096 count=1", 0)]
    [InlineData("if=/dev/zero of={0} bs=4096 count=1 conv=notrunc", 1)]
    [InlineData("if=/dev/null of={0} count=0 conv=notrunc,fsync", 1)]
    public async Task KilledUser_DiesAtOnce_ThoughTheBackendStandsStill(string arguments, int cancelled)
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], "lends=off");
        await host.TellAsync("hold on");
        await using var user = PeerProcess.Start("dd", string.Format(arguments, host.Path).Split(' '));
        await Eventually.HoldsAsync(async () => await host.CountAsync("running") > 0);
        await user.SignalAsync("TERM");
        await user.WaitForExitAsync(s_patience);
        Assert.Equal(cancelled, await host.CountAsync("cancelled"));
        await host.TellAsync("hold off");
        await Eventually.HoldsAsync(async () => await host.CountAsync("running") == 0);
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse", "python3")]
    public async Task SignalThatDoesNotKill_DoesNotFailTheRead()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], "lends=off");
        await host.TellAsync("hold on");
        const string script = "import os,signal,sys\nsignal.signal(signal.SIGUSR1, lambda *a: None)\nprint(len(os.pread(os.open(sys.argv[1], os.O_RDONLY), 4096, 0)))";
        await using var reader = PeerProcess.Start("python3", ["-c", script, host.Path]);
        await Eventually.HoldsAsync(async () => await host.CountAsync("running") > 0);
        for (int i = 0; i < 20; i++)
            await reader.SignalAsync("USR1");
        Assert.Equal(0, await host.CountAsync("cancelled"));
        await host.TellAsync("hold off");
        await reader.WaitForExitAsync(s_patience);
        Assert.Equal("4096\n", reader.Output);
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse", "fio")]
    public async Task SlowBackend_IsAskedForManyThingsAtOnce_ButNoMoreThanAllowed()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], "requests=24", "threads=2", "delay=3");
        await PeerProcess.RunOkAsync(
            "fio",
            ["--name=r", $"--filename={host.Path}", "--rw=randread", "--bs=4k", "--direct=1", "--ioengine=psync", "--thread", "--numjobs=40", "--number_ios=50", "--size=64m"]);
        long most = await host.CountAsync("most");
        Assert.InRange(most, 12, 24);
        await host.EndAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task ManyUsersAndUnmounts_AtOnce_LoseNothing()
    {
        using var directory = new TemporaryDirectory();
        await using var host = await FuseHost.StartAsync(directory["disk"], "busy-timeout=0", "delay=0.2");
        byte[] block = new byte[4096];
        Array.Fill(block, (byte)1);
        var written = new ConcurrentBag<long>();
        using var stop = new CancellationTokenSource();
        long next = -1;
        var writers = Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            while (!stop.IsCancellationRequested && Interlocked.Increment(ref next) is var number && number < 500)
            {
                SafeFileHandle file;
                try
                {
                    file = File.OpenHandle(host.Path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
                }
                catch (IOException)
                {
                    // An unmount came through between two opens.
                    return;
                }

                RandomAccess.Write(file, block, number * block.Length);
                file.Dispose();
                written.Add(number);
            }
        })).ToArray();
        string answer = "";
        for (int i = 0; i < 20 && answer != "unmounted"; i++)
        {
            answer = await host.AskAsync("unmount");
            Assert.True(answer == "unmounted" || answer.Contains("is in use", StringComparison.Ordinal), answer);
        }

        await stop.CancelAsync();
        await Task.WhenAll(writers);
        byte[] found = await host.PeekAsync(0, 500 * block.Length);
        Assert.All(written, number => Assert.Equal(block, found.AsSpan((int)number * block.Length, block.Length).ToArray()));
        await host.EndAsync();
    }
}
