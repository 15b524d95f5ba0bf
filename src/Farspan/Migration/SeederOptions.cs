using Farspan.Chunks;

namespace Farspan.Migration;

/// <summary>How a <see cref="Seeder"/> works.</summary>
internal sealed record SeederOptions
{
    /// <summary>Bytes of a chunk, by which changes are recorded: a power of two up to 32 MiB. 64 KiB unless told.</summary>
    public int ChunkSize { get; init; } = 64 << 10;

    /// <summary>
    /// What stands behind the region: a flush completes once what it covers is there, too, and the region is handed over only when all of it is. Null: nothing.
    /// Not owned.
    /// </summary>
    public StoreBehind? Behind { get; init; }

    /// <summary>Whether that store has what the region has, durably, as the seeder is opened: else it is compared first. False unless told.</summary>
    public bool IsBehindSame { get; init; }

    /// <summary>How long a suspension, a flush and a resumption may take, each. 30 s unless told.</summary>
    public TimeSpan StepTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// How long to wait, before a session, a round and a suspension, for what the program has written and a kernel still keeps. What has not come then comes
    /// with the suspension. 5 s unless told.
    /// </summary>
    public TimeSpan WriteBackTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>After which silence another leecher may take a session's place. 60 s unless told.</summary>
    public TimeSpan LeecherTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long to wait before what must succeed is tried again. 1 s unless told.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The clock.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Names regions.</summary>
    public Func<Guid> NewRegion { get; init; } = Guid.NewGuid;

    /// <summary>A number from which the sessions of a run are counted, far from those of any other run.</summary>
    public Func<long> NewSessions { get; init; } = () => Random.Shared.NextInt64(1, long.MaxValue / 2);

    /// <exception cref="ArgumentOutOfRangeException">A value is out of its bounds.</exception>
    public SeederOptions Validate()
    {
        ChunkLayout.CheckChunkSize(ChunkSize);
        foreach (var (time, name) in new[]
        {
            (StepTimeout, nameof(StepTimeout)), (WriteBackTimeout, nameof(WriteBackTimeout)), (LeecherTimeout, nameof(LeecherTimeout)), (RetryDelay, nameof(RetryDelay)),
        })
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(time, TimeSpan.Zero, name);
        return this;
    }
}
