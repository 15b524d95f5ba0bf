using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Stages;

/// <summary>What the backend below an <see cref="ArbitraryAccessStage"/> accepts, and how hard to drive it.</summary>
public sealed record ArbitraryAccessOptions
{
    /// <summary>Bytes: the backend below takes only offsets and lengths that are multiples of this, and the short last chunk. A power of two
    /// up to 32 MiB. Default: 64 KiB.</summary>
    public int ChunkSize { get; init; } = 64 << 10;

    /// <summary>Bytes: the longest read or write that the backend below takes. A multiple of <see cref="ChunkSize"/>, or 0 for exactly one
    /// chunk. Default: 0.</summary>
    public int MaximumRequest { get; init; }

    /// <summary>Pieces of one request that are under way at once. At least 1. Default: 16.</summary>
    public int Concurrency { get; init; } = 16;

    /// <summary>The options that fit what <paramref name="inner"/> says of itself by <see cref="IBlockSizes"/>.</summary>
    public static ArbitraryAccessOptions For(IBackend inner)
    {
        ArgumentNullException.ThrowIfNull(inner);
        var sizes = inner.GetCapability<IBlockSizes>()?.BlockSizes ?? BlockSizes.Default;
        return new ArbitraryAccessOptions { ChunkSize = sizes.Minimum, MaximumRequest = sizes.Maximum / sizes.Minimum * sizes.Minimum };
    }

    /// <summary>What the options come to; throws when a value is out of its bounds.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One is; the message names it.</exception>
    internal ChunkedPlan ToPlan()
    {
        ChunkLayout.CheckChunkSize(ChunkSize);
        if (MaximumRequest < 0 || MaximumRequest % ChunkSize != 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(MaximumRequest), MaximumRequest, $"The longest request is a multiple of the chunk size, {ChunkSize}, or 0 for one chunk.");
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(Concurrency, 1);
        return new ChunkedPlan(ChunkSize, Math.Max(ChunkSize, MaximumRequest), Concurrency);
    }
}
