using System.Diagnostics.CodeAnalysis;
using Farspan.Backends;
using Farspan.Checksums;
using Farspan.Mounts.Caching;
using Farspan.Mounts.Caching.Journal;
using Farspan.TestKit;
using Farspan.TestKit.Simulation;
using Farspan.TestKit.Time;
using Xunit;

namespace Farspan.Tests.Mounts.Caching;

public sealed class DirectoryChunkCacheTests : IDisposable
{
    private const int ChunkSize = 4096;
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact(Timeout = 120_000)]
    public async Task ClosedAndOpened_HasBytesAndNotes()
    {
        byte[] bytes = Bytes(7);
        await using (var cache = await OpenAsync())
        {
            Assert.Empty(cache.Recovered);
            await cache.WriteAsync(0, bytes, default);
            cache.NoteClean(0, Crc32C.Compute(bytes));
            await cache.NoteDirtyAsync(2, 512, 1024, default);
            await cache.WriteAsync((2 * ChunkSize) + 512, bytes.AsMemory(0, 1024), default);
            await cache.NoteDirtyAsync(3, 0, ChunkSize, default);
            await cache.WriteAsync(3 * ChunkSize, bytes, default);
        }

        await using var again = await OpenAsync();
        var recovered = again.Recovered.ToList();
        Assert.Equal([0, 2, 3], recovered.Select(chunk => chunk.Index));
        Assert.Equal([true, false, true], recovered.Select(chunk => chunk.IsWhole));
        Assert.Empty(recovered[0].DirtyRanges);
        Assert.Equal([(512, 1024)], recovered[1].DirtyRanges);
        Assert.Equal([(0, ChunkSize)], recovered[2].DirtyRanges);
        Assert.All(recovered, chunk => Assert.Null(chunk.UnprovenChecksum));
        byte[] read = new byte[ChunkSize];
        await again.ReadAsync(3 * ChunkSize, read, default);
        Assert.Equal(bytes, read);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("other:", 16L * ChunkSize, ChunkSize, "memory:")]
    [InlineData("memory:", 17L * ChunkSize, ChunkSize, "65536 bytes")]
    [InlineData("memory:", 16L * ChunkSize, 2 * ChunkSize, "chunks of 4096 bytes")]
    public async Task OfSomethingElse_IsRefusedAndKept(string remote, long length, int chunkSize, string has)
    {
        await (await OpenAsync()).DisposeAsync();
        var refused = await Assert.ThrowsAsync<BackendException>(() => OpenAsync(remote, length, chunkSize));
        Assert.Equal(BackendError.Invalid, refused.Error);
        Assert.Contains(has, refused.Message, StringComparison.Ordinal);
        Assert.Contains("give another directory", refused.Message, StringComparison.Ordinal);
        await (await OpenAsync()).DisposeAsync();
    }

    [Fact(Timeout = 120_000)]
    public async Task Directory_WithSomethingElse_IsRefused()
    {
        Directory.CreateDirectory(_directory["cache"]);
        await File.WriteAllTextAsync(Path.Combine(_directory["cache"], "mine"), "x");
        Assert.Equal(BackendError.Invalid, (await Assert.ThrowsAsync<BackendException>(() => OpenAsync())).Error);
        Assert.True(File.Exists(Path.Combine(_directory["cache"], "mine")));
    }

    [Fact(Timeout = 120_000)]
    public async Task Data_ThatIsLost_IsRefused()
    {
        await using (var cache = await OpenAsync())
        {
            await cache.NoteDirtyAsync(1, 0, ChunkSize, default);
            await cache.WriteAsync(ChunkSize, Bytes(1), default);
        }

        File.Delete(Path.Combine(_directory["cache"], DirectoryChunkCache.DataName));
        Assert.Equal(BackendError.Corrupt, (await Assert.ThrowsAsync<BackendException>(() => OpenAsync())).Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task SecondOwner_IsRefused_AndToldWhoHasIt()
    {
        await using var first = await OpenAsync();
        var refused = await Assert.ThrowsAsync<BackendException>(() => OpenAsync());
        Assert.Equal(BackendError.Leased, refused.Error);
        Assert.Contains($"process {Environment.ProcessId}", refused.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = 120_000)]
    [SuppressMessage("Interoperability", "CA1416", Justification = "Tests run on Linux.")]
    public async Task Files_AreForTheirUserOnly()
    {
        await using var cache = await OpenAsync();
        const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        Assert.Equal(Private | UnixFileMode.UserExecute, File.GetUnixFileMode(_directory["cache"]));
        Assert.All(Directory.GetFiles(_directory["cache"]), file => Assert.Equal(Private, File.GetUnixFileMode(file)));
    }

    [Fact(Timeout = 120_000)]
    public async Task HugeRegion_OpensAndKeepsItsFewChunks()
    {
        const long Length = 1L << 40;
        const int Large = 64 << 10;
        await using (var cache = await OpenAsync("memory:", Length, Large))
        {
            await cache.NoteDirtyAsync((Length / Large) - 1, 0, Large, default);
            await cache.WriteAsync(Length - Large, new byte[Large], default);
        }

        await using var again = await OpenAsync("memory:", Length, Large);
        Assert.Equal((Length / Large) - 1, Assert.Single(again.Recovered).Index);
    }

    [Fact(Timeout = 120_000)]
    public Task FullDisk_LosesNothing_AndWorksOnceThereIsSpace()
    {
        VirtualTime.Run(async clock =>
        {
            var disk = new SimulatedDisk(1, clock);
            var cache = await OpenAsync(disk, clock);
            await cache.NoteDirtyAsync(0, 0, ChunkSize, default);
            await cache.WriteAsync(0, Bytes(1), default);
            disk.SectorLimit = disk.UsedSectors;
            await cache.NoteDirtyAsync(1, 0, ChunkSize, default);
            var full = await Assert.ThrowsAsync<BackendException>(async () => await cache.WriteAsync(ChunkSize, Bytes(2), default));
            Assert.Equal(BackendError.NoSpace, full.Error);
            disk.SectorLimit = long.MaxValue;
            await cache.WriteAsync(ChunkSize, Bytes(2), default);
            await cache.FlushAsync(default);
            disk.Restart(losePower: true);
            cache = await OpenAsync(disk, clock);
            Assert.Equal([0, 1], cache.Recovered.Select(chunk => chunk.Index));
            await cache.DisposeAsync();
        });
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task FailedWrite_IsNeverClaimed_WhateverIsNotedAfterwards()
    {
        VirtualTime.Run(async clock =>
        {
            var disk = new SimulatedDisk(1, clock);
            var cache = await OpenAsync(disk, clock);
            await cache.NoteDirtyAsync(0, 0, 512, default);
            disk.SectorLimit = disk.UsedSectors;
            await Assert.ThrowsAsync<BackendException>(async () => await cache.WriteAsync(0, new byte[512], default));
            disk.SectorLimit = long.MaxValue;
            await cache.WriteAsync(512, Bytes(1).AsMemory(512), default);
            cache.NoteWhole(0);
            await cache.NoteDirtyAsync(0, 0, 512, default);
            await cache.FlushAsync(default);
            disk.Restart(losePower: false);
            cache = await OpenAsync(disk, clock);
            Assert.Empty(cache.Recovered);
            await cache.DisposeAsync();
        });
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task Zeroes_AreOneNote_AndEndWhenAllIsWritten()
    {
        VirtualTime.Run(async clock =>
        {
            var disk = new SimulatedDisk(1, clock);
            var cache = await OpenAsync(disk, clock);
            await cache.NoteDirtyAsync(3, 0, ChunkSize, default);
            await cache.WriteAsync(3 * ChunkSize, Bytes(1), default);
            await cache.NoteZeroAsync(1, 10, default);
            await cache.DiscardAsync(9, 1, default);
            await cache.NoteDirtyAsync(5, 0, ChunkSize, default);
            await cache.WriteAsync(5 * ChunkSize, Bytes(2).AsMemory(0, 512), default);
            await cache.NoteDirtyAsync(7, 0, ChunkSize, default);
            await cache.WriteAsync(7 * ChunkSize, Bytes(2).AsMemory(0, 512), default);
            await cache.WriteAsync((7 * ChunkSize) + 512, Bytes(2).AsMemory(512), default);
            disk.Restart(losePower: false);
            cache = await OpenAsync(disk, clock);
            Assert.Equal([(1L, 6L), (8L, 1L), (10L, 1L)], cache.RecoveredZeroes);
            Assert.Equal(7, Assert.Single(cache.Recovered).Index);
            await cache.DisposeAsync();
        });
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task FullDisk_TakesTheSpaceOfWhatWasDiscarded()
    {
        VirtualTime.Run(async clock =>
        {
            var disk = new SimulatedDisk(1, clock);
            var cache = await OpenAsync(disk, clock);
            await cache.WriteAsync(0, Bytes(1), default);
            cache.NoteClean(0, Crc32C.Compute(Bytes(1)));
            await cache.FlushAsync(default);
            disk.SectorLimit = disk.UsedSectors + 1;
            await cache.DiscardAsync(0, 1, default);
            await cache.WriteAsync(ChunkSize, Bytes(2), default);
            await cache.DisposeAsync();
        });
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task FailedSync_IsNeverFollowedByAGoodOne()
    {
        VirtualTime.Run(async clock =>
        {
            var disk = new SimulatedDisk(1, clock);
            var cache = await OpenAsync(disk, clock);
            await cache.NoteDirtyAsync(0, 0, 512, default);
            await cache.WriteAsync(0, new byte[512], default);
            disk.FailSyncOf = DirectoryChunkCache.DataName;
            await Assert.ThrowsAsync<BackendException>(async () => await cache.FlushAsync(default));
            await Assert.ThrowsAsync<BackendException>(async () => await cache.FlushAsync(default));
            await Assert.ThrowsAsync<BackendException>(async () => await cache.ReadAsync(0, new byte[512], default));
            await Assert.ThrowsAsync<BackendException>(async () => await cache.DisposeAsync());
            disk.Restart(losePower: false);
            cache = await OpenAsync(disk, clock);
            Assert.Empty(cache.Recovered);
            await cache.DisposeAsync();
        });
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task ReadThatAFailedSyncOvertakes_Fails()
    {
        int overtaken = 0;
        for (int seed = 0; seed < 60; seed++)
        {
            VirtualTime.Run(async clock =>
            {
                var disk = new SimulatedDisk(seed, clock);
                var cache = await OpenAsync(disk, clock);
                await cache.NoteDirtyAsync(0, 0, ChunkSize, default);
                await cache.WriteAsync(0, Bytes(1), default);
                disk.FailSyncOf = DirectoryChunkCache.DataName;
                var flush = cache.FlushAsync(default).AsTask();
                byte[] bytes = new byte[ChunkSize];
                while (!flush.IsCompleted)
                {
                    try
                    {
                        await cache.ReadAsync(0, bytes, default);
                        Assert.Equal(Bytes(1), bytes);
                    }
                    catch (BackendException)
                    {
                        overtaken++;
                        break;
                    }
                }

                await Assert.ThrowsAsync<BackendException>(() => flush);
                await Assert.ThrowsAsync<BackendException>(async () => await cache.DisposeAsync());
            });
        }

        Assert.True(overtaken > 0);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task Journal_StaysShort_AndWhatItSaysIsKept()
    {
        VirtualTime.Run(async clock =>
        {
            var disk = new SimulatedDisk(1, clock) { IsSlow = false };
            var cache = await OpenAsync(disk, clock);
            for (int round = 0; round < 200; round++)
            {
                await cache.NoteDirtyAsync(round % 16, 0, ChunkSize, default);
                await cache.WriteAsync(round % 16 * ChunkSize, Bytes(round), default);
                cache.NoteClean(round % 16, Crc32C.Compute(Bytes(round)));
                await cache.FlushAsync(default);
                Assert.InRange(disk.ReadAll(JournalFile.Name).Length, 1, 4096);
            }

            disk.Restart(losePower: true);
            cache = await OpenAsync(disk, clock);
            Assert.Equal(Enumerable.Range(184, 16).Select(round => (uint?)Crc32C.Compute(Bytes(round))).Order(), cache.Recovered.Select(chunk => chunk.UnprovenChecksum).Order());
            await cache.DisposeAsync();
        });
        return Task.CompletedTask;
    }

    private static byte[] Bytes(int seed)
    {
        byte[] bytes = new byte[ChunkSize];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static async Task<DirectoryChunkCache> OpenAsync(SimulatedDisk disk, TimeProvider clock)
        => await DirectoryChunkCache.OpenAsync(new DirectoryCacheOptions
        {
            Files = disk.Open(), Remote = "memory:", Length = 16 * ChunkSize, ChunkSize = ChunkSize, BootId = disk.BootId, Clock = clock, CompactionBytes = 2000,
        });

    private async Task<DirectoryChunkCache> OpenAsync(string remote = "memory:", long length = 16 * ChunkSize, int chunkSize = ChunkSize)
        => await DirectoryChunkCache.OpenAsync(new DirectoryCacheOptions
        {
            Files = CacheDirectory.Open(_directory["cache"]), Remote = remote, Length = length, ChunkSize = chunkSize, BootId = "boot",
        });
}
