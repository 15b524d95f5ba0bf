using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Stages;

/// <summary>How a <see cref="ChecksumStage"/> works.</summary>
public sealed record ChecksumOptions
{
    /// <summary>Bytes under one checksum; the least that is read or written below. A power of two up to 32 MiB. Default: 64 KiB.</summary>
    public int ChunkSize { get; init; } = 64 << 10;

    /// <summary>What the backend below holds when there are no checksums yet. Default: <see cref="ChecksumStart.Zeroes"/>.</summary>
    public ChecksumStart Start { get; init; }

    /// <summary>Pieces of one request that are under way at once. At least 1. Default: 16.</summary>
    public int Concurrency { get; init; } = 16;

    /// <summary>Where the checksums are kept, at least <see cref="ChecksumStage.SideLength"/> bytes; the stage owns it. It takes requests of 4 KiB
    /// at multiples of that. Default: null, in memory only.</summary>
    public IBackend? Side { get; init; }

    /// <summary>What the options come to; throws when a value is out of its bounds, or does not fit the backend.</summary>
    /// <exception cref="ArgumentException">One is; the message names it.</exception>
    internal ChunkedPlan ToPlan(IBackend inner)
    {
        ChunkLayout.CheckChunkSize(ChunkSize);
        ArgumentOutOfRangeException.ThrowIfLessThan(Concurrency, 1);
        var sizes = inner.GetCapability<IBlockSizes>()?.BlockSizes ?? BlockSizes.Default;
        if (ChunkSize < sizes.Minimum || ChunkSize > sizes.Maximum)
            throw new ArgumentException($"Chunks of {ChunkSize} bytes do not suit a backend that takes {sizes.Minimum} to {sizes.Maximum} bytes.");
        var plan = new ChunkedPlan(ChunkSize, Math.Min(sizes.Maximum, ChunkLayout.MaximumChunkSize) & -ChunkSize, Concurrency);
        if (Side is null)
            return plan;
        long needed = ChecksumStage.SideLength(inner.Length, ChunkSize);
        if (Side.Length < needed)
            throw new ArgumentException($"The checksums of {inner.Length} bytes need {needed} bytes; the side backend has {Side.Length}.");
        var sideSizes = Side.GetCapability<IBlockSizes>()?.BlockSizes ?? BlockSizes.Default;
        if (sideSizes.Minimum > ChecksumSide.PageSize || sideSizes.Maximum < ChecksumSide.PageSize)
            throw new ArgumentException($"The side backend does not take requests of {ChecksumSide.PageSize} bytes.");
        return plan;
    }
}
