using Farspan.Backends;
using Farspan.Migration.Finalizing;

namespace Farspan.Migration;

/// <summary>How a <see cref="Leecher"/> works.</summary>
internal sealed record LeecherOptions
{
    /// <summary>When to ask for the hand-over. <see cref="AutoFinalize"/> unless told.</summary>
    public IFinalizePolicy Policy { get; init; } = new AutoFinalize();

    /// <summary>Stores that may have some of the region's chunks where the seeder has them; a chunk of theirs counts once its digest is the seeder's. Not owned.</summary>
    public IReadOnlyList<IBackend> Sources { get; init; } = [];

    /// <summary>
    /// What stands behind the region: where the seeder does not answer after the hand-over, what is missing comes from there, and what the program here
    /// writes goes there with each flush. Null: nothing. Not owned.
    /// </summary>
    public StoreBehind? Behind { get; init; }

    /// <summary>Whether each chunk that came is compared with the seeder's by its digest, once more, before the seeder may let go.</summary>
    public bool Verify { get; init; } = true;

    /// <summary>Bytes that may be on their way at once, at most. 64 MiB unless told.</summary>
    public int Budget { get; init; } = 64 << 20;

    /// <summary>Bytes of the longest read, at most; at least a chunk. 1 MiB unless told.</summary>
    public int LongestRead { get; init; } = 1 << 20;

    /// <summary>How long a read, a digest and a list may take. 30 s unless told.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long the seeder may take to decide: it suspends a program meanwhile. 3 min unless told.</summary>
    public TimeSpan DecisionTimeout { get; init; } = TimeSpan.FromMinutes(3);

    /// <summary>How long starting the program may take. 30 s unless told.</summary>
    public TimeSpan StepTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a call of the program waits for bytes that the seeder does not send, until it fails. 60 s unless told.</summary>
    public TimeSpan OutageTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>How long to wait before what failed is tried again. 1 s unless told.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>The clock.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Names moves: never twice the same.</summary>
    public Func<Guid> NewToken { get; init; } = Guid.NewGuid;

    /// <exception cref="ArgumentOutOfRangeException">A value is out of its bounds.</exception>
    public LeecherOptions Validate()
    {
        foreach (var (time, name) in new[]
        {
            (RequestTimeout, nameof(RequestTimeout)), (DecisionTimeout, nameof(DecisionTimeout)), (StepTimeout, nameof(StepTimeout)),
            (OutageTimeout, nameof(OutageTimeout)), (RetryDelay, nameof(RetryDelay)),
        })
            ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(time, TimeSpan.Zero, name);
        ArgumentOutOfRangeException.ThrowIfLessThan(Budget, 1 << 16);
        ArgumentOutOfRangeException.ThrowIfLessThan(LongestRead, 1);
        return this;
    }
}
