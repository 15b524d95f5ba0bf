using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Farspan.Linux.Userfaults;

/// <summary>How a region's service works.</summary>
internal sealed record RegionOptions
{
    /// <summary>Bytes of a chunk, which a fault brings as a whole; a power of two, at least a page.</summary>
    public int ChunkSize { get; init; } = 64 << 10;

    /// <summary>Bytes of the region that may be in memory; null for all.</summary>
    public long? ResidentLimit { get; init; }

    /// <summary>Threads that answer faults.</summary>
    public int FaultThreads { get; init; } = 2;

    /// <summary>Bytes that are brought ahead of faults that follow each other; 0 for none.</summary>
    public int ReadAhead { get; init; } = 8 << 20;

    /// <summary>
    /// Whether what is at hand may be moved in by huge pages (<see cref="HugeFiller"/>). Not where memory is written that is not held: a write
    /// in the moment between a move and the protection after it would not be noticed.
    /// </summary>
    public bool MovesHugePages { get; init; }

    /// <summary>How often what was written is saved; null where its owner says when.</summary>
    public TimeSpan? SaveInterval { get; init; }

    /// <summary>After which time a chunk that could not be brought, and cannot be poisoned, is tried again.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Names the region's threads.</summary>
    public string Name { get; init; } = "region";

    public ILogger Logger { get; init; } = NullLogger.Instance;

    public TimeProvider Clock { get; init; } = TimeProvider.System;
}
