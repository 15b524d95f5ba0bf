using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Mounts.Caching;

/// <summary>
/// Chunks that a cache recovered after a loss of power, and whose bytes must have a certain checksum: looked at when they are first used. Four
/// bytes a chunk, in pages that exist only where there are such chunks. Thread-safe.
/// </summary>
internal sealed class Unproven(MountCore mount)
{
    private const int PageShift = 14;

    private readonly ChunkBitmap _chunks = new(mount.Layout.ChunkCount);
    private readonly uint[]?[] _checksums = new uint[]?[(mount.Layout.ChunkCount >> PageShift) + 1];
    private long _count;

    /// <summary>Whether any chunk waits for proof.</summary>
    public bool IsAny => Volatile.Read(ref _count) > 0;

    public bool Contains(long chunkIndex) => IsAny && _chunks[chunkIndex];

    public void Add(long chunkIndex, uint checksum)
    {
        _chunks.Set(chunkIndex);
        (_checksums[chunkIndex >> PageShift] ??= new uint[1 << PageShift])[chunkIndex & ((1 << PageShift) - 1)] = checksum;
        _count++;
    }

    /// <summary>Proves the chunks of a range, or gives them up.</summary>
    /// <exception cref="BackendException">The cache failed.</exception>
    public async ValueTask ProveAsync(long firstChunk, long lastChunk)
    {
        if (!_chunks.Any(firstChunk, lastChunk - firstChunk + 1))
            return;
        var hold = await mount.Locks.AcquireAsync(firstChunk, lastChunk, exclusive: true, CancellationToken.None);
        try
        {
            await ProveHeldAsync(firstChunk, lastChunk);
        }
        finally
        {
            mount.Locks.Release(hold);
        }
    }

    /// <summary>The same, where the caller holds them exclusively.</summary>
    public async ValueTask ProveHeldAsync(long firstChunk, long lastChunk)
    {
        for (long index = firstChunk; index <= lastChunk; index++)
        {
            if (!_chunks[index])
                continue;
            uint expected = _checksums[index >> PageShift]![index & ((1 << PageShift) - 1)];
            if (await mount.ChecksumAsync(index) != expected)
            {
                await mount.DiscardAsync(index);
                continue;
            }

            Forget(index, 1);
            mount.Cache.NoteClean(index, expected);
        }
    }

    /// <summary>Chunks are no longer what was recovered. The caller holds them exclusively.</summary>
    public void Forget(long firstChunk, long count)
    {
        if (!IsAny)
            return;
        Interlocked.Add(ref _count, -_chunks.CountOf(firstChunk, count));
        _chunks.Clear(firstChunk, count);
    }
}
