using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Mounts;
using Farspan.Stages;
using Farspan.TestKit;
using Farspan.TestKit.Time;
using Xunit;

namespace Farspan.Tests.Mounts;

/// <summary>What is wrong with the stage of r3map that knows what is local, one test each (see <see cref="KnownPullerDefectTests"/>).</summary>
/// <remarks>
/// <list type="table">
/// <listheader><term>there</term><description>here</description></listheader>
/// <item><term>an object on the heap for each chunk</term><description>bits (also <see cref="HugeMountTests"/>)</description></item>
/// <item><term>what is local is forgotten by a restart</term><description>the cache directory keeps it</description></item>
/// <item><term>a chunk is local before its write has succeeded</term><description>what a failed write left of a missing chunk does not count</description></item>
/// <item><term>another chunk size silently ignores what is dirty</term><description>a cache directory of another chunk size is refused</description></item>
/// <item><term>a lock of the whole map is held while a pull is waited for</term><description>local bytes are read and written meanwhile</description></item>
/// <item><term>a read and a write of a chunk that is pulled race</term><description>pulled bytes fill only what was not written</description></item>
/// </list>
/// </remarks>
public sealed class KnownSyncedStageDefectTests : IDisposable
{
    private const int Chunk = 4096;
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact(Timeout = 60_000)]
    public async Task WhatIsLocal_IsSoAfterARestart_AndNeedsNoRemote()
    {
        byte[] content = new byte[16 * Chunk];
        new Random(1).NextBytes(content);
        var store = new KeptBackend(new MemoryBackend(content.Length));
        await store.WriteAsync(0, content);
        await using (var mount = await OpenAsync(store))
            await mount.ReadAsync(3 * Chunk, new byte[4 * Chunk]);
        var faults = new FaultInjectionStage(store);
        await using var again = await OpenAsync(faults);
        Assert.Equal(4 * Chunk, again.Status.LocalBytes);
        using (faults.Inject(new FaultRule { Operations = BackendOperation.Read, IsTransient = false }))
        {
            byte[] found = new byte[4 * Chunk];
            await again.ReadAsync(3 * Chunk, found);
            Assert.Equal(content[(3 * Chunk)..(7 * Chunk)], found);
        }
    }

    [Theory(Timeout = 60_000)]
    [InlineData(2 * Chunk)]
    [InlineData(Chunk / 2)]
    public async Task AnotherChunkSize_IsRefused_AndLosesNothing(int chunkSize)
    {
        var store = new KeptBackend(new MemoryBackend(16 * Chunk));
        var faults = new FaultInjectionStage(store);
        faults.Inject(new FaultRule { Operations = BackendOperation.Write, IsTransient = false });
        var mount = await OpenAsync(faults);
        await mount.WriteAsync(5, new byte[] { 9 });
        Assert.Equal(1, (await mount.CloseAsync()).UnpushedBytes);
        await Assert.ThrowsAnyAsync<Exception>(async () => await OpenAsync(store, chunkSize));
        await (await OpenAsync(store)).DisposeAsync();
        byte[] there = new byte[1];
        await store.ReadAsync(5, there);
        Assert.Equal(9, there[0]);
    }

    [Fact]
    public void FailedWriteToAMissingChunk_DoesNotMakeItLocal()
        => VirtualTime.Run(async clock =>
        {
            var remote = new MemoryBackend(4 * Chunk);
            await remote.WriteAsync(Chunk, Enumerable.Repeat((byte)7, Chunk).ToArray());
            var cache = new ObservedCache(new ChunkLayout(remote.Length, Chunk)) { FailingWrites = 1 };
            await using var mount = await ManagedBackend.OpenAsync(remote, cache, Options(Chunk) with { Clock = clock });
            await Assert.ThrowsAsync<BackendException>(async () => await mount.WriteAsync(Chunk, new byte[Chunk]));
            Assert.Equal((0, 0), (mount.Status.LocalBytes, mount.Status.DirtyBytes));
            byte[] found = new byte[Chunk];
            await mount.ReadAsync(Chunk, found);
            Assert.Equal(-1, found.AsSpan().IndexOfAnyExcept((byte)7));
        });

    [Fact]
    public void PullThatHangs_HoldsUpNothingThatIsLocal()
        => VirtualTime.Run(async clock =>
        {
            var faults = new FaultInjectionStage(new MemoryBackend(16 * Chunk));
            await using var mount = await ManagedBackend.OpenAsync(
                faults, new ManagedMountOptions { Clock = clock, ChunkSize = Chunk, BackgroundPull = BackgroundPull.Nothing });
            await mount.ReadAsync(0, new byte[Chunk]);
            using var stall = faults.Inject(new FaultRule { Kind = FaultKind.Stall, Operations = BackendOperation.Read });
            var waiting = mount.ReadAsync(8 * Chunk, new byte[Chunk]).AsTask();
            await Task.Delay(TimeSpan.FromSeconds(1), clock);
            Assert.True(mount.ReadAsync(0, new byte[Chunk]).IsCompletedSuccessfully);
            Assert.True(mount.WriteAsync(10, new byte[10]).IsCompletedSuccessfully);

            // To the chunk that is pulled, and of it, too: the pull fills what is left.
            Assert.True(mount.WriteAsync((8 * Chunk) + 100, new byte[] { 5, 6 }).IsCompletedSuccessfully);
            byte[] found = new byte[2];
            Assert.True(mount.ReadAsync((8 * Chunk) + 100, found).IsCompletedSuccessfully);
            Assert.Equal([5, 6], found);
            stall.Dispose();
            await waiting;
            byte[] around = new byte[4];
            await mount.ReadAsync((8 * Chunk) + 99, around);
            Assert.Equal([0, 5, 6, 0], around);
        });

    [Fact(Timeout = 60_000)]
    public Task MillionsOfChunks_TakeBits()
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        var map = new ChunkMap(new ChunkLayout(16L << 40, 1 << 20));
        map.SetZero(0, 8 << 20);
        for (long chunk = 8 << 20; chunk < 9 << 20; chunk++)
            map.SetWhole(chunk);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 1, 16 << 20);
        return Task.CompletedTask;
    }

    private ManagedMountOptions Options(int chunkSize) => new()
    {
        ChunkSize = chunkSize,
        CacheDirectory = _directory["cache"],
        RemoteName = "test",
        BackgroundPull = BackgroundPull.Nothing,
        PushInterval = TimeSpan.FromHours(1),
    };

    private ValueTask<ManagedBackend> OpenAsync(IBackend remote, int chunkSize = Chunk) => ManagedBackend.OpenAsync(remote, Options(chunkSize));
}
