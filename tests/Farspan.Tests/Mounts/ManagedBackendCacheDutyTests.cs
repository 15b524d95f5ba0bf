using Farspan.Backends;
using Farspan.Checksums;
using Farspan.Chunks;
using Farspan.Mounts;
using Farspan.Mounts.Caching;
using Xunit;

namespace Farspan.Tests.Mounts;

/// <summary>What a mount owes to a cache that outlives crashes (docs/decisions/0070).</summary>
public sealed class ManagedBackendCacheDutyTests
{
    private const int Chunk = 4096;
    private const int Length = 64 * Chunk;
    private static readonly ManagedMountOptions Options = new()
    {
        ChunkSize = Chunk,
        CacheDirectory = "observed",
        BackgroundPull = BackgroundPull.Nothing,
        PushInterval = TimeSpan.FromHours(1),
    };

    [Fact(Timeout = 120_000)]
    public async Task Bytes_AreDurableInTheCacheBeforeTheyGoToTheRemote()
    {
        var cache = new ObservedCache(new ChunkLayout(Length, Chunk));
        var remote = new WatchedRemote(Length, () => cache.IsFlushed);
        await using var mount = await ManagedBackend.OpenAsync(remote, cache, Options);
        await mount.WriteAsync(100, new byte[3000]);
        await mount.FlushAsync();
        await mount.WriteAsync(2 * Chunk, new byte[2 * Chunk]);
        await mount.FlushAsync();
        await mount.ZeroAsync(8 * Chunk, 8 * Chunk);
        await mount.FlushAsync();
        Assert.Equal([true, true, true], remote.Changes);
    }

    [Fact(Timeout = 120_000)]
    public async Task ManyPushes_ShareOneFlushOfTheCache()
    {
        var cache = new ObservedCache(new ChunkLayout(Length, Chunk));
        var remote = new WatchedRemote(Length, () => cache.IsFlushed);
        await using var mount = await ManagedBackend.OpenAsync(remote, cache, Options with { MemoryBudget = 1 << 20 });
        for (int index = 0; index < 64; index += 2)
            await mount.WriteAsync(index * Chunk, new byte[Chunk]);
        await mount.FlushAsync();
        Assert.Equal(Enumerable.Repeat(true, 32), remote.Changes);

        // Those that start together each ask; the cache answers them with one. None asks again.
        int flushes = cache.FlushCount;
        await mount.FlushAsync();
        Assert.Equal(flushes, cache.FlushCount);
        Assert.InRange(flushes, 1, 32);
    }

    [Fact(Timeout = 120_000)]
    public async Task WriteBetweenRangesThatWereJoined_IsNoted()
    {
        var cache = new ObservedCache(new ChunkLayout(Length, Chunk));
        await using var mount = await ManagedBackend.OpenAsync(new MemoryBackend(Length), cache, Options);
        await mount.ReadAsync(0, new byte[Chunk]);
        for (int i = 0; i < 40; i++)
            await mount.WriteAsync(i * 100, new byte[1]);
        for (int i = 0; i < 39; i++)
        {
            Assert.False(cache.IsNoted(0, (i * 100) + 50, (i * 100) + 51));
            await mount.WriteAsync((i * 100) + 50, new byte[1]);
            Assert.True(cache.IsNoted(0, (i * 100) + 50, (i * 100) + 51));
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task UnprovenChunkThatIsRight_IsNotedAsClean()
    {
        uint checksum = Crc32C.Compute(new byte[Chunk]);
        var cache = new ObservedCache(new ChunkLayout(Length, Chunk))
        {
            Recovered = [new RecoveredChunk(3, IsWhole: true, [], checksum), new RecoveredChunk(4, IsWhole: true, [], checksum + 1)],
        };
        await using var mount = await ManagedBackend.OpenAsync(new MemoryBackend(Length), cache, Options);
        await mount.ReadAsync(3 * Chunk, new byte[100]);
        Assert.Equal([(3, checksum)], cache.Clean);
    }
}
