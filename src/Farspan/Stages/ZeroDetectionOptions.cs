using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Stages;

/// <summary>What a <see cref="ZeroDetectionStage"/> looks for.</summary>
public sealed record ZeroDetectionOptions
{
    /// <summary>Bytes: runs of zeroes are looked for in units of this, or of the least that the backend below takes where that is more, at multiples
    /// of it. A power of two from 512 bytes to 32 MiB; null looks only for writes that are zero from end to end. Default: 4 KiB.</summary>
    public int? Granule { get; init; } = 4096;

    /// <summary>Bytes: a shorter run inside a write is written with the rest, since each one that is taken out costs a request more. At least 1.
    /// Default: 64 KiB.</summary>
    public int MinimumRun { get; init; } = 64 << 10;

    /// <summary>How the zeroing is asked for. Default: <see cref="ZeroMode.None"/>, storage may be given up.</summary>
    public ZeroMode Mode { get; init; }

    /// <summary>Requests of one write that are under way at once. At least 1. Default: 16.</summary>
    public int Concurrency { get; init; } = 16;

    /// <summary>Throws when a value is out of its bounds.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One is; the message names it.</exception>
    internal void Validate()
    {
        if (Granule is { } granule)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(granule, 512);
            ChunkLayout.CheckChunkSize(granule);
        }

        ArgumentOutOfRangeException.ThrowIfLessThan(MinimumRun, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(Concurrency, 1);
        if ((Mode & ~ZeroMode.KeepAllocated) != 0)
            throw new ArgumentOutOfRangeException(nameof(Mode), Mode, "A write may keep storage allocated, but not be refused for not being fast.");
    }
}
