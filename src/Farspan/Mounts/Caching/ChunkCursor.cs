using Farspan.Chunks;

namespace Farspan.Mounts.Caching;

/// <summary>
/// Goes through the chunks whose bit is set in one of two bitmaps, which do not change meanwhile. It remembers where the next bit of each is: to
/// look for it at every step would scan an empty bitmap once for each chunk of the other.
/// </summary>
internal sealed class ChunkCursor(ChunkBitmap first, ChunkBitmap second)
{
    private long _first = -1;
    private long _second = -1;

    /// <summary>The first such chunk at or after <paramref name="chunkIndex"/>, or -1. The index never falls from call to call.</summary>
    public long Next(long chunkIndex)
    {
        Advance(first, chunkIndex, ref _first);
        Advance(second, chunkIndex, ref _second);
        long next = Math.Min(_first, _second);
        return next == long.MaxValue ? -1 : next;
    }

    private static void Advance(ChunkBitmap bitmap, long chunkIndex, ref long at)
    {
        if (at >= chunkIndex)
            return;
        at = bitmap.NextSet(chunkIndex);
        if (at < 0)
            at = long.MaxValue;
    }
}
