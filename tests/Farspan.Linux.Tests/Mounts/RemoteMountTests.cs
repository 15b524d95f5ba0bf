using System.Diagnostics;
using Farspan.Backends;
using Farspan.Linux.Fuse;
using Farspan.Linux.Mounts;
using Farspan.Linux.Tests.Fuse;
using Farspan.Mounts;
using Farspan.TestKit;
using Farspan.TestKit.Fuse;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Mounts;

/// <summary>Direct mounts that this process serves, and uses by pread and pwrite alone.</summary>
public sealed class RemoteMountTests
{
    private const int Length = 1_000_003;

    [RequiresFact("root", "fuse", "cmp")]
    public async Task File_ReadsAndWrites_WhatOtherProgramsSee()
    {
        using var directory = new TemporaryDirectory();
        await using var memory = new MemoryBackend(Length);
        await using var mount = await RemoteMount.OpenDirectAsync(memory, directory["disk"]);
        Assert.Equal((MountState.Open, (long)Length, false, false), (mount.State, mount.Length, mount.IsReadOnly, mount.CanOpenMemory));
        byte[] bytes = new byte[Length];
        new Random(5).NextBytes(bytes);
        await File.WriteAllBytesAsync(directory["model"], bytes);
        using (var file = mount.OpenFile())
        {
            await file.WriteAsync(bytes);
            Assert.Equal(Length, file.Position);
            await PeerProcess.RunOkAsync("cmp", [mount.Path, directory["model"]]);
            await PeerProcess.RunOkAsync("sh", ["-c", $"printf xyz | dd of={mount.Path} seek=1000 bs=1 conv=notrunc status=none"]);
            byte[] found = new byte[5];
            file.ReadAt(999, found);
            Assert.Equal([bytes[999], (byte)'x', (byte)'y', (byte)'z', bytes[1003]], found);
            file.Position = Length - 2;
            Assert.Equal(2, await file.ReadAsync(found));
            Assert.Equal(0, await file.ReadAsync(found));
        }

        await mount.CloseAsync();
        Assert.Equal(MountState.Closed, mount.State);
        Assert.Equal([directory["model"]], Directory.GetFileSystemEntries(directory.Path));
    }

    [RequiresFact("root", "fuse")]
    public async Task ManyFileCalls_AtOnce_DisturbEachOtherNot()
    {
        using var directory = new TemporaryDirectory();
        await using var memory = new MemoryBackend(1 << 20);
        await using var mount = await RemoteMount.OpenDirectAsync(memory, directory["disk"]);
        using var file = mount.OpenFile();
        await Task.WhenAll(Enumerable.Range(0, 64).Select(async i =>
        {
            byte[] bytes = Enumerable.Repeat((byte)i, 16_384).ToArray();
            byte[] found = new byte[16_384];
            for (int round = 0; round < 10; round++)
            {
                await file.WriteAtAsync(i * 16_384, bytes);
                await file.ReadAtAsync(i * 16_384, found);
                Assert.Equal(bytes, found);
            }
        }));
        await file.FlushAsync();
    }

    [RequiresFact("root", "fuse")]
    public async Task Flush_ReachesTheBackend_AndItsErrorTheCaller_Repeatedly()
    {
        using var directory = new TemporaryDirectory();
        int flushes = 0;
        BackendError? error = null;
        var backend = new ScriptedBackend(Length)
        {
            Flush = _ =>
            {
                flushes++;
                return error is { } e ? throw new BackendException(e, "as told") : ValueTask.CompletedTask;
            },
        };
        await using var mount = await RemoteMount.OpenDirectAsync(backend, directory["disk"]);
        using var file = mount.OpenFile();
        file.WriteAt(0, [1]);
        await file.FlushAsync();
        Assert.Equal(1, flushes);
        error = BackendError.NoSpace;
        file.WriteAt(0, [2]);
        for (int i = 0; i < 3; i++)
            Assert.Equal(BackendError.NoSpace, Assert.Throws<BackendException>(file.Flush).Error);
        error = null;
        file.Flush();
        Assert.Equal(5, flushes);
    }

    [RequiresFact("root", "fuse")]
    public async Task File_BeyondItsEnd_IsRefused()
    {
        using var directory = new TemporaryDirectory();
        await using var memory = new MemoryBackend(100);
        await using var mount = await RemoteMount.OpenDirectAsync(memory, directory["disk"]);
        using var file = mount.OpenFile();
        Assert.Throws<ArgumentOutOfRangeException>(() => file.ReadAt(99, new byte[2]));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.WriteAt(-1, new byte[2]));
        file.Position = 99;
        Assert.Equal(BackendError.NoSpace, Assert.Throws<BackendException>(() => file.Write([1, 2])).Error);
        file.Position = 1000;
        Assert.Equal(0, file.Read(new byte[10]));
        Assert.Throws<NotSupportedException>(() => file.SetLength(5));
    }

    [RequiresFact("root", "fuse")]
    public async Task ReadOnlyMount_GivesFilesForReadingOnly()
    {
        using var directory = new TemporaryDirectory();
        await using var memory = new MemoryBackend(100);
        await using var mount = await RemoteMount.OpenDirectAsync(memory, directory["disk"], new DirectMountOptions { ReadOnly = true });
        Assert.True(mount.IsReadOnly);
        using var file = mount.OpenFile();
        Assert.False(file.CanWrite);
        Assert.Throws<BackendException>(() => file.WriteAt(0, [1]));
        Assert.Equal(BackendError.ReadOnly, Assert.Throws<BackendException>(() => mount.OpenFile(FileAccess.ReadWrite)).Error);
        file.Flush();
    }

    [RequiresFact("root", "fuse")]
    public async Task Memory_OfAMountThatThisProcessServes_IsRefusedBeforeItCanHang()
    {
        using var directory = new TemporaryDirectory();
        await using var memory = new MemoryBackend(100);
        await using var mount = await RemoteMount.OpenDirectAsync(memory, directory["disk"]);
        var error = Assert.Throws<InvalidOperationException>(mount.OpenMemory);
        Assert.Contains("served by this process", error.Message, StringComparison.Ordinal);
    }

    [RequiresFact("root", "fuse")]
    public async Task Close_EndsOpenedFiles_AndMayBeRepeated()
    {
        using var directory = new TemporaryDirectory();
        await using var memory = new MemoryBackend(100);
        var mount = await RemoteMount.OpenDirectAsync(memory, directory["disk"]);
        var file = mount.OpenFile();
        file.WriteAt(0, [1]);
        await Task.WhenAll(mount.CloseAsync(), mount.CloseAsync(), mount.DisposeAsync().AsTask());
        await mount.CloseAsync();
        await mount.DisposeAsync();
        Assert.Throws<ObjectDisposedException>(() => file.WriteAt(0, [1]));
        Assert.Throws<ObjectDisposedException>(() => mount.OpenFile());
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
    }

    [RequiresFact("root", "fuse")]
    public async Task Close_WithAFailingFlush_ReportsIt_EveryTime_AndDisposeNoMore()
    {
        using var directory = new TemporaryDirectory();
        var backend = new ScriptedBackend(100) { Flush = static _ => throw new BackendException(BackendError.Disconnected, "the line is cut") };
        await using var mount = await RemoteMount.OpenDirectAsync(backend, directory["disk"]);
        using (var file = mount.OpenFile())
            file.WriteAt(0, [1]);
        for (int i = 0; i < 2; i++)
        {
            var error = await Assert.ThrowsAsync<BackendException>(() => mount.CloseAsync());
            Assert.Equal("The last flush failed: the line is cut", error.Message);
            Assert.Equal(BackendError.Disconnected, error.Error);
        }

        Assert.Equal(MountState.Faulted, mount.State);
    }

    [RequiresFact("root", "fuse", "sleep")]
    public async Task Close_WhileAProgramUsesTheFile_IsRefused_AndDisposeEndsIt()
    {
        using var directory = new TemporaryDirectory();
        await using var memory = new MemoryBackend(100);
        var options = new DirectMountOptions { Fuse = new FuseMountOptions { BusyTimeout = TimeSpan.Zero, CloseTimeout = TimeSpan.FromSeconds(0.5) } };
        var mount = await RemoteMount.OpenDirectAsync(memory, directory["disk"], options);
        await using var user = PeerProcess.Start("sh", ["-c", $"exec 3<{mount.Path}; echo open; exec sleep 100"]);
        await user.WaitUntilAsync(u => u.Output.Length > 0);
        await Assert.ThrowsAsync<MountException>(() => mount.CloseAsync());
        Assert.Equal(MountState.Open, mount.State);
        mount.OpenFile().Dispose();
        var clock = Stopwatch.StartNew();
        var error = await Assert.ThrowsAsync<MountException>(() => mount.DisposeAsync().AsTask());
        Assert.Contains("cut off", error.Message, StringComparison.Ordinal);
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(30));
        Assert.Equal(MountState.Faulted, mount.State);
    }

    [RequiresFact("root", "fuse", "umount")]
    public async Task UnmountFromOutside_ShowsInTheState()
    {
        using var directory = new TemporaryDirectory();
        await using var memory = new MemoryBackend(100);
        await using var mount = await RemoteMount.OpenDirectAsync(memory, directory["disk"]);
        await PeerProcess.RunOkAsync("umount", [mount.Path]);
        await mount.Completion;
        Assert.Equal(MountState.Closed, mount.State);
        Assert.Throws<ObjectDisposedException>(() => mount.OpenFile());
    }

    [RequiresFact("root", "fuse")]
    public async Task Registry_OpensTheBackend_WhichTheMountCloses_AlsoWhenMountingFails()
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllBytesAsync(directory["image"], new byte[5000]);
        var registry = new BackendRegistry().AddCoreBackends();
        await using (var mount = await RemoteMount.OpenDirectAsync($"file:{directory["image"]}", registry, directory["disk"]))
        {
            using var file = mount.OpenFile();
            file.WriteAt(4998, [7, 8]);
        }

        byte[] image = await File.ReadAllBytesAsync(directory["image"]);
        Assert.Equal([7, 8], image[^2..]);
        await Assert.ThrowsAsync<MountException>(() => RemoteMount.OpenDirectAsync($"file:{directory["image"]}", registry, directory["missing/disk"]));
        Assert.DoesNotContain(directory["image"], OwnDescriptors.Targets());
        Assert.Empty(FuseConnection.Mounts(directory.Path));
    }

    [RequiresFact("root", "fuse")]
    public async Task FileCalls_UnderConstantCollections_GoOn()
    {
        using var directory = new TemporaryDirectory();
        await using var memory = new MemoryBackend(1 << 20);
        await using var mount = await RemoteMount.OpenDirectAsync(memory, directory["disk"]);
        using var file = mount.OpenFile();
        using var stop = new CancellationTokenSource(TimeSpan.FromSeconds(3));
        var collector = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
                GC.Collect(2, GCCollectionMode.Forced, blocking: true, compacting: true);
        });
        collector.Start();
        byte[] bytes = new byte[4096];
        for (int i = 0; !stop.IsCancellationRequested; i++)
        {
            bytes[0] = (byte)i;
            file.WriteAt(i % 256 * 4096, bytes);
            bytes[0] = 0;
            file.ReadAt(i % 256 * 4096, bytes);
            Assert.Equal((byte)i, bytes[0]);
        }

        collector.Join();
    }
}
