using System.Numerics;

namespace Farspan.Chunks;

/// <summary>How a backend of a given length divides into chunks: all of one size, but the last, which ends where the backend ends.</summary>
public readonly record struct ChunkLayout
{
    /// <summary>The largest chunk: 32 MiB.</summary>
    public const int MaximumChunkSize = 32 << 20;

    private readonly int _shift;

    /// <summary>Divides <paramref name="length"/> bytes into chunks of <paramref name="chunkSize"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative, or the chunk size is no power of two from 1 to
    /// <see cref="MaximumChunkSize"/>.</exception>
    public ChunkLayout(long length, int chunkSize)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        CheckChunkSize(chunkSize);
        Length = length;
        ChunkSize = chunkSize;
        _shift = BitOperations.TrailingZeroCount(chunkSize);
    }

    /// <summary>Bytes in all.</summary>
    public long Length { get; }

    /// <summary>Bytes of every chunk but perhaps the last; a power of two.</summary>
    public int ChunkSize { get; }

    /// <summary>The number of chunks, a short last one included.</summary>
    public long ChunkCount => Length == 0 ? 0 : ((Length - 1) >> _shift) + 1;

    /// <summary>Throws unless <paramref name="chunkSize"/> is a power of two from 1 to <see cref="MaximumChunkSize"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not.</exception>
    public static void CheckChunkSize(int chunkSize)
    {
        if (chunkSize is < 1 or > MaximumChunkSize || !BitOperations.IsPow2(chunkSize))
        {
            throw new ArgumentOutOfRangeException(
                nameof(chunkSize), chunkSize, $"A chunk is a power of two from 1 to {MaximumChunkSize} bytes.");
        }
    }

    /// <summary>The chunk that holds the byte at <paramref name="offset"/>.</summary>
    public long IndexOf(long offset) => offset >> _shift;

    /// <summary>The first byte of a chunk.</summary>
    public long OffsetOf(long chunkIndex) => chunkIndex << _shift;

    /// <summary>The bytes of a chunk: <see cref="ChunkSize"/>, or fewer for the last.</summary>
    public int LengthOf(long chunkIndex) => (int)Math.Min(ChunkSize, Length - OffsetOf(chunkIndex));

    /// <summary>The start of the chunk that holds <paramref name="offset"/>.</summary>
    public long AlignDown(long offset) => offset & -(long)ChunkSize;

    /// <summary>The end of the whole chunks that start before <paramref name="offset"/>: aligned, or the end of the last chunk.</summary>
    public long AlignUp(long offset)
    {
        // Not by adding the chunk size first, which at the far end of the longest backend would overflow.
        long gap = -offset & (ChunkSize - 1);
        return gap > Length - offset ? Length : offset + gap;
    }

    /// <summary>Whether a range starts and ends at chunk borders; the end of the last chunk is one.</summary>
    public bool IsWhole(long offset, long length)
        => ((offset | (offset + length)) & (ChunkSize - 1)) == 0 || ((offset & (ChunkSize - 1)) == 0 && offset + length == Length);
}
