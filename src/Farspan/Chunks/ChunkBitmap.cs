using System.Numerics;

namespace Farspan.Chunks;

/// <summary>
/// One bit for each chunk: 1 TiB in chunks of 64 KiB takes 2 MiB. Setting, clearing and taking are atomic, word by word, and may run at once
/// from any number of threads.
/// </summary>
public sealed class ChunkBitmap
{
    private readonly ulong[] _words;

    /// <summary>Creates a bitmap with no bit set.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The count is negative or over 2^36.</exception>
    public ChunkBitmap(long chunkCount)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(chunkCount);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(chunkCount, 1L << 36);
        ChunkCount = chunkCount;
        _words = new ulong[(chunkCount + 63) / 64];
    }

    /// <summary>The number of chunks.</summary>
    public long ChunkCount { get; }

    /// <summary>Whether any bit is set.</summary>
    public bool IsEmpty => !_words.AsSpan().ContainsAnyExcept(0UL);

    /// <summary>The number of bits set.</summary>
    public long Count
    {
        get
        {
            long count = 0;
            foreach (ref ulong word in _words.AsSpan())
                count += BitOperations.PopCount(Volatile.Read(ref word));
            return count;
        }
    }

    /// <summary>Whether the bit of a chunk is set.</summary>
    public bool this[long chunkIndex]
    {
        get
        {
            Check(chunkIndex, 1);
            return (Volatile.Read(ref _words[chunkIndex >> 6]) >> (int)(chunkIndex & 63) & 1) != 0;
        }
    }

    /// <summary>Sets the bits of <paramref name="count"/> chunks from <paramref name="chunkIndex"/> on.</summary>
    public void Set(long chunkIndex, long count = 1)
    {
        Check(chunkIndex, count);
        for (long end = chunkIndex + count; chunkIndex < end;)
        {
            ulong mask = Mask(chunkIndex, end, out long next);
            ref ulong word = ref _words[chunkIndex >> 6];
            if ((Volatile.Read(ref word) & mask) != mask)
                Interlocked.Or(ref word, mask);
            chunkIndex = next;
        }
    }

    /// <summary>Clears the bits of <paramref name="count"/> chunks from <paramref name="chunkIndex"/> on.</summary>
    public void Clear(long chunkIndex, long count = 1)
    {
        Check(chunkIndex, count);
        for (long end = chunkIndex + count; chunkIndex < end;)
        {
            ulong mask = Mask(chunkIndex, end, out long next);
            ref ulong word = ref _words[chunkIndex >> 6];
            if ((Volatile.Read(ref word) & mask) != 0)
                Interlocked.And(ref word, ~mask);
            chunkIndex = next;
        }
    }

    /// <summary>Whether any of <paramref name="count"/> chunks from <paramref name="chunkIndex"/> on is set.</summary>
    public bool Any(long chunkIndex, long count)
    {
        Check(chunkIndex, count);
        for (long end = chunkIndex + count; chunkIndex < end;)
        {
            ulong mask = Mask(chunkIndex, end, out long next);
            if ((Volatile.Read(ref _words[chunkIndex >> 6]) & mask) != 0)
                return true;
            chunkIndex = next;
        }

        return false;
    }

    /// <summary>Moves all set bits into a new bitmap. A bit that is set meanwhile is in the new one or stays here; it is never lost.</summary>
    public ChunkBitmap TakeAll()
    {
        var taken = new ChunkBitmap(ChunkCount);
        for (int i = 0; i < _words.Length; i++)
        {
            if (Volatile.Read(ref _words[i]) != 0)
                taken._words[i] = Interlocked.Exchange(ref _words[i], 0);
        }

        return taken;
    }

    /// <summary>The first chunk at or after <paramref name="chunkIndex"/> whose bit is set, or -1.</summary>
    public long NextSet(long chunkIndex)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(chunkIndex);
        if (chunkIndex >= ChunkCount)
            return -1;
        int i = (int)(chunkIndex >> 6);
        ulong word = Volatile.Read(ref _words[i]) & (ulong.MaxValue << (int)(chunkIndex & 63));
        while (word == 0)
        {
            int skipped = _words.AsSpan(i + 1).IndexOfAnyExcept(0UL);
            if (skipped < 0)
                return -1;
            i += 1 + skipped;
            word = Volatile.Read(ref _words[i]);
        }

        return ((long)i << 6) + BitOperations.TrailingZeroCount(word);
    }

    /// <summary>The first chunk at or after <paramref name="chunkIndex"/> whose bit is not set, or <see cref="ChunkCount"/>.</summary>
    internal long NextClear(long chunkIndex)
    {
        if (chunkIndex >= ChunkCount)
            return ChunkCount;
        int i = (int)(chunkIndex >> 6);
        ulong word = ~Volatile.Read(ref _words[i]) & (ulong.MaxValue << (int)(chunkIndex & 63));
        while (word == 0)
        {
            int skipped = _words.AsSpan(i + 1).IndexOfAnyExcept(ulong.MaxValue);
            if (skipped < 0)
                return ChunkCount;
            i += 1 + skipped;
            word = ~Volatile.Read(ref _words[i]);
        }

        return Math.Min(ChunkCount, ((long)i << 6) + BitOperations.TrailingZeroCount(word));
    }

    /// <summary>The number of bits set among <paramref name="count"/> chunks from <paramref name="chunkIndex"/> on.</summary>
    internal long CountOf(long chunkIndex, long count)
    {
        Check(chunkIndex, count);
        long set = 0;
        for (long end = chunkIndex + count; chunkIndex < end;)
        {
            ulong mask = Mask(chunkIndex, end, out long next);
            set += BitOperations.PopCount(Volatile.Read(ref _words[chunkIndex >> 6]) & mask);
            chunkIndex = next;
        }

        return set;
    }

    /// <summary>The chunks whose bits are set, in ascending order.</summary>
    public IEnumerable<long> SetChunks()
    {
        for (long i = NextSet(0); i >= 0; i = NextSet(i + 1))
            yield return i;
    }

    private static ulong Mask(long chunkIndex, long end, out long next)
    {
        int low = (int)(chunkIndex & 63);
        next = Math.Min(end, (chunkIndex | 63) + 1);
        int bits = (int)(next - chunkIndex);
        return (bits == 64 ? ulong.MaxValue : (1UL << bits) - 1) << low;
    }

    private void Check(long chunkIndex, long count)
    {
        if ((chunkIndex | count) < 0 || chunkIndex > ChunkCount - count)
        {
            throw new ArgumentOutOfRangeException(
                nameof(chunkIndex), $"{count} chunks from {chunkIndex} on are not inside the bitmap's {ChunkCount} chunks.");
        }
    }
}
