using System.Diagnostics;
using Farspan.Backends;
using Farspan.Linux.Fuse;
using Farspan.Linux.Mounts;
using Farspan.Linux.Processes;
using Farspan.Mounts;
using Farspan.TestKit;
using Farspan.TestKit.Fuse;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Fuse;

/// <summary>Direct mounts that the farspan program serves, used as memory.</summary>
public sealed class MountedMemoryTests
{
    private static readonly string s_program = TestProgram.Path("Farspan.Cli");

    [RequiresFact("root", "fuse", "cmp")]
    public async Task Span_IsSeenByOtherPrograms_AndDurableAfterAFlush()
    {
        using var directory = new TemporaryDirectory();
        await using var mount = await OpenAsync(directory, 3_000_001);
        Assert.True(mount.CanOpenMemory);
        using var memory = mount.OpenMemory();
        byte[] bytes = new byte[memory.Length];
        new Random(1).NextBytes(bytes);
        bytes.CopyTo(memory.Slice(0, bytes.Length).Span);
        await File.WriteAllBytesAsync(directory["model"], bytes);
        await PeerProcess.RunOkAsync("cmp", [mount.Path, directory["model"]]);
        await memory.FlushAsync();
        await PeerProcess.RunOkAsync("cmp", [directory["image"], directory["model"]]);
        await PeerProcess.RunOkAsync("sh", ["-c", $"printf xyz | dd of={mount.Path} seek=1000000 bs=1 conv=notrunc status=none"]);
        Assert.Equal("xyz"u8.ToArray(), memory.Slice(1_000_000, 3).ToArray());
        memory.Write(5, "abc"u8);
        Assert.Equal("abc"u8.ToArray(), memory.Slice(5, 3).ToArray());
        memory.Slice(6, 1).Span[0] = (byte)'B';
        byte[] found = new byte[3];
        memory.Read(5, found);
        Assert.Equal("aBc"u8.ToArray(), found);
    }

    [RequiresFact("root", "fuse")]
    public async Task Close_WithoutAFlush_LosesNothing_NotEvenTheLastByte()
    {
        using var directory = new TemporaryDirectory();
        await using (var mount = await OpenAsync(directory, 12_345))
        {
            var memory = mount.OpenMemory();
            memory.Slice(0, 1).Span[0] = 1;
            memory.Slice(12_344, 1).Span[0] = 2;
            await mount.CloseAsync();
            Assert.Equal(MountState.Closed, mount.State);
            Assert.Throws<ObjectDisposedException>(() => memory.Slice(0, 1));
            Assert.Throws<ObjectDisposedException>(() => memory.Read(0, new byte[1]));
        }

        byte[] image = await File.ReadAllBytesAsync(directory["image"]);
        Assert.Equal((12_345, 1, 2), (image.Length, image[0], image[^1]));
        Assert.Equal([directory["image"]], Directory.GetFileSystemEntries(directory.Path));
    }

    [RequiresFact("root", "fuse")]
    public async Task HugeMemory_OpensAtOnce_AndBringsOnlyWhatIsTouched()
    {
        using var directory = new TemporaryDirectory();
        await using var mount = await RemoteMount.OpenDirectAsync("memory:1TiB", directory["disk"], Options());
        using var memory = mount.OpenMemory();
        Assert.Equal(1L << 40, memory.Length);
        memory.Slice((1L << 40) - 1, 1).Span[0] = 9;
        await memory.PrefetchAsync(1L << 39, 20 << 20);
        Assert.Equal(0, memory.Slice(1L << 39, int.MaxValue).Span[20 << 20]);
        await memory.FlushAsync();
        using var self = Process.GetCurrentProcess();
        Assert.True(self.WorkingSet64 < 4L << 30);
    }

    [RequiresFact("root", "fuse")]
    public async Task ReadOnlyMemory_IsRead_AndRefusesWrites()
    {
        using var directory = new TemporaryDirectory();
        await using var mount = await OpenAsync(directory, 5000, Options() with { ReadOnly = true });
        using var memory = mount.OpenMemory();
        Assert.Equal(new byte[5000], memory.Slice(0, 5000).ToArray());
        Assert.Throws<BackendException>(() => memory.Write(0, [1]));
        memory.Flush();
        Assert.True(mount.IsReadOnly);
    }

    [RequiresFact("root", "fuse")]
    public async Task PinnedMemory_KeepsTheMountOpen_UntilItIsReleased()
    {
        using var directory = new TemporaryDirectory();
        await using var mount = await OpenAsync(directory, 5000);
        var memory = mount.OpenMemory();
        var pinned = memory.Slice(0, 5000).Pin();
        await Assert.ThrowsAsync<MountException>(() => mount.CloseAsync());
        Assert.Equal(MountState.Open, mount.State);
        pinned.Dispose();
        await mount.CloseAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task ServerThatIsKilled_FailsReadsAndClose_AndLeavesNothing()
    {
        using var directory = new TemporaryDirectory();
        var mount = await OpenAsync(directory, 5000);
        using var memory = mount.OpenMemory();
        await PeerProcess.RunOkAsync("kill", ["-KILL", $"{mount.ServerProcessId}"]);
        await Assert.ThrowsAsync<MountException>(() => mount.Completion);
        Assert.Throws<BackendException>(() => memory.Read(0, new byte[1]));
        await Assert.ThrowsAsync<BackendException>(() => memory.PrefetchAsync(0, 1));
        var error = await Assert.ThrowsAsync<MountException>(() => mount.CloseAsync());
        Assert.Contains("by signal 9", error.Message, StringComparison.Ordinal);
        Assert.Equal(MountState.Faulted, mount.State);
        await mount.DisposeAsync();
        Assert.Equal([directory["image"]], Directory.GetFileSystemEntries(directory.Path));
        Assert.Empty(FuseConnection.Mounts(directory.Path));
    }

    [RequiresFact("root", "fuse")]
    public async Task OwnerThatIsKilled_TakesTheMountWithIt()
    {
        using var directory = new TemporaryDirectory();
        await MakeImageAsync(directory, 5000);
        await using (var owner = PeerProcess.Start(FuseHost.Program, ["--hold-memory", s_program, $"file:{directory["image"]}", directory["disk"]]))
        {
            await owner.WaitUntilAsync(o => o.Output.Contains("holding", StringComparison.Ordinal));
            Assert.Single(FuseConnection.Mounts(directory.Path));
            await owner.SignalAsync("KILL");
            await Eventually.HoldsAsync(() => FuseConnection.Mounts(directory.Path).Count == 0 && !File.Exists(directory["disk"]));
        }

        // The server may still hold its lock on the file, which the BCL would respect. 42 is an asterisk.
        await Eventually.HoldsAsync(async () => (await PeerProcess.RunOkAsync("head", ["-c", "1", directory["image"]])).StartsWith('*'));
    }

    [RequiresFact("root", "fuse")]
    public async Task Span_UnderConstantCollections_NeverHangs()
    {
        using var directory = new TemporaryDirectory();
        await MakeImageAsync(directory, 16 << 20);
        await using var watchdog = new Timer(_ => FuseConnection.AbortAsync(directory.Path).GetAwaiter().GetResult(), state: null, TimeSpan.FromSeconds(60), Timeout.InfiniteTimeSpan);
        string said = await PeerProcess.RunOkAsync(
            FuseHost.Program, ["--use-memory", s_program, $"file:{directory["image"]}", directory["disk"], "5"], TimeSpan.FromSeconds(90));
        Assert.StartsWith("used ", said, StringComparison.Ordinal);
        Assert.True(long.Parse(said[5..]) > 100, said);
    }

    [RequiresTheory("root", "fuse")]
    [InlineData("exit 3", "ended with exit code 3")]
    [InlineData("echo 'farspan mount: no such host' >&2; exit 1", "no such host")]
    [InlineData("echo hello; exec cat", "is no farspan program of this version")]
    [InlineData("echo '{\"some\": \"thing\"}'; exec cat", "is no farspan program of this version")]
    [InlineData("exec sleep 100", "within 1 s")]
    public async Task ProgramThatDoesNotMount_FailsTheOpening_InTime(string script, string reason)
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllTextAsync(directory["program"], $"#!/bin/sh\n{script}\n");
        File.SetUnixFileMode(directory["program"], UnixFileMode.UserRead | UnixFileMode.UserExecute);
        var options = new DirectMountOptions { Program = directory["program"], Fuse = new FuseMountOptions { MountTimeout = TimeSpan.FromSeconds(1) } };
        var error = await Assert.ThrowsAsync<MountException>(() => RemoteMount.OpenDirectAsync("memory:1MiB", directory["disk"], options));
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        Assert.Equal([directory["program"]], Directory.GetFileSystemEntries(directory.Path));
    }

    // The program on the path may be a script that starts the real one.
    [RequiresTheory("root", "fuse", "sleep")]
    [InlineData("time-out")]
    [InlineData("cancellation")]
    public async Task ProgramThatNeverAnswers_EndsWithItsChildren(string reason)
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllTextAsync(directory["program"], $"#!/bin/sh\nsleep 1000 &\necho $! >'{directory["unfinished"]}'\nmv '{directory["unfinished"]}' '{directory["child"]}'\nwait\n");
        File.SetUnixFileMode(directory["program"], UnixFileMode.UserRead | UnixFileMode.UserExecute);
        using var cancel = new CancellationTokenSource();
        var time = reason == "time-out" ? TimeSpan.FromSeconds(3) : TimeSpan.FromMinutes(2);
        var options = new DirectMountOptions { Program = directory["program"], Fuse = new FuseMountOptions { MountTimeout = time } };
        var opening = RemoteMount.OpenDirectAsync("memory:1MiB", directory["disk"], options, cancel.Token);
        await Eventually.HoldsAsync(() => File.Exists(directory["child"]));
        int child = int.Parse(await File.ReadAllTextAsync(directory["child"]));
        if (reason == "cancellation")
            await cancel.CancelAsync();
        if (reason == "time-out")
            await Assert.ThrowsAsync<MountException>(() => opening);
        else
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => opening);
        await Eventually.HoldsAsync(() => ProcessLife.StartOf(child) is null);
    }

    [RequiresFact("root", "fuse")]
    public async Task ProgramThatIsMissing_OrUriThatIsWrong_IsOneClearError()
    {
        using var directory = new TemporaryDirectory();
        var missing = await Assert.ThrowsAsync<MountException>(
            () => RemoteMount.OpenDirectAsync("memory:1MiB", directory["disk"], new DirectMountOptions { Program = directory["farspan"] }));
        Assert.Contains("There is no program", missing.Message, StringComparison.Ordinal);
        var wrong = await Assert.ThrowsAsync<MountException>(() => RemoteMount.OpenDirectAsync("nosuch:thing", directory["disk"], Options()));
        Assert.Contains("'nosuch:'", wrong.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
    }

    [RequiresFact("root", "fuse")]
    public async Task CancelledOpening_LeavesNothing()
    {
        using var directory = new TemporaryDirectory();
        for (int i = 0; i < 8; i++)
        {
            using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(20 * i));
            try
            {
                await using var mount = await RemoteMount.OpenDirectAsync("memory:1MiB", directory["disk"], Options(), cancel.Token);
            }
            catch (OperationCanceledException)
            {
                // As asked, at whatever step it was.
            }

            Assert.Empty(FuseConnection.Mounts(directory.Path));
            Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
        }
    }

    private static DirectMountOptions Options() => new() { Program = s_program, Fuse = new FuseMountOptions { BusyTimeout = TimeSpan.FromSeconds(0.2) } };

    private static async Task MakeImageAsync(TemporaryDirectory directory, int length) => await File.WriteAllBytesAsync(directory["image"], new byte[length]);

    private static async Task<DirectMount> OpenAsync(TemporaryDirectory directory, int length, DirectMountOptions? options = null)
    {
        await MakeImageAsync(directory, length);
        return await RemoteMount.OpenDirectAsync($"file:{directory["image"]}", directory["disk"], options ?? Options());
    }
}
