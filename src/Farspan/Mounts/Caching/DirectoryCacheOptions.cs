using System.Text;
using Farspan.Chunks;
using Farspan.Mounts.Caching.Journal;

namespace Farspan.Mounts.Caching;

/// <summary>What a cache directory is opened with.</summary>
internal sealed record DirectoryCacheOptions
{
    /// <summary>The most chunks of a region: 4 TiB in chunks of 4 KiB, 64 TiB in chunks of 64 KiB.</summary>
    public const long MaximumChunks = 1L << 30;

    /// <summary>The directory, which the cache owns from then on, and releases when it cannot be opened too.</summary>
    public required ICacheFiles Files { get; init; }

    /// <summary>Names the remote: the same one each time the directory is opened. 1 to 4096 bytes of UTF-8.</summary>
    public required string Remote { get; init; }

    /// <summary>Bytes of the region, at least 1.</summary>
    public required long Length { get; init; }

    /// <summary>Bytes of a chunk: a power of two.</summary>
    public required int ChunkSize { get; init; }

    /// <summary>
    /// Names the present run of the operating system: where it is the one of the last time, nothing that was written can be missing. On Linux
    /// the content of <c>/proc/sys/kernel/random/boot_id</c>; where nothing is known, a name never used before. 1 to 256 bytes of UTF-8.
    /// </summary>
    public required string BootId { get; init; }

    /// <summary>The clock of the checkpoints. Default: the system's.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>How long notes may wait until they are made durable. Default: 1 second. More than zero.</summary>
    public TimeSpan CheckpointInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Bytes written or given up after which notes are made durable at once. Default: 64 MiB. More than zero.</summary>
    public long CheckpointBytes { get; init; } = 64 << 20;

    /// <summary>Bytes below which a journal is not compacted. Default: 1 MiB. Not negative.</summary>
    public long CompactionBytes { get; init; } = 1 << 20;

    /// <summary>Throws unless the values are within their bounds.</summary>
    /// <exception cref="ArgumentOutOfRangeException">They are not.</exception>
    public void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(Length, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(new ChunkLayout(Length, ChunkSize).ChunkCount, MaximumChunks, nameof(Length));
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(CheckpointInterval, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(CheckpointBytes, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(CompactionBytes);
        if (Encoding.UTF8.GetByteCount(Remote) is < 1 or > JournalHeader.LongestRemote)
            throw new ArgumentOutOfRangeException(nameof(Remote), $"The name of a remote has 1 to {JournalHeader.LongestRemote} bytes.");
        if (Encoding.UTF8.GetByteCount(BootId) is < 1 or > JournalHeader.LongestBootId)
            throw new ArgumentOutOfRangeException(nameof(BootId), $"A boot id has 1 to {JournalHeader.LongestBootId} bytes.");
    }
}
