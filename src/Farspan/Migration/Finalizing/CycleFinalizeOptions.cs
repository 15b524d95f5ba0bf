namespace Farspan.Migration.Finalizing;

/// <summary>How <see cref="CycleFinalize"/> looks for quiet phases, and how long it waits for one.</summary>
public sealed record CycleFinalizeOptions
{
    /// <summary>What is aimed at, and what holds where there are no phases; its deadline holds in any case.</summary>
    public AutoFinalizeOptions Auto { get; init; } = new();

    /// <summary>
    /// Time between two rounds, by which the writes are seen; no less than two round trips are used. Phases that are not several times longer are not seen.
    /// More than 0; 500 ms unless told.
    /// </summary>
    public TimeSpan SampleInterval { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>
    /// For how long since the copy began to watch a program whose writes show no phases so far, before it counts as one that has none. It should be no shorter
    /// than the longest busy phase. Not negative; 30 s unless told.
    /// </summary>
    public TimeSpan Observation { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Time since the copy began after which no quiet phase is waited for any more. Not negative; 5 minutes unless told.</summary>
    public TimeSpan Deadline { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>How many times more is written in a busy phase than in a quiet one, at least; less is no phase. More than 1; 3 unless told.</summary>
    public double Contrast { get; init; } = 3;

    /// <exception cref="ArgumentException">A value is out of its bounds.</exception>
    internal CycleFinalizeOptions Validate()
    {
        ArgumentNullException.ThrowIfNull(Auto);
        Auto.Validate();
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(SampleInterval, TimeSpan.Zero, nameof(SampleInterval));
        ArgumentOutOfRangeException.ThrowIfLessThan(Observation, TimeSpan.Zero, nameof(Observation));
        ArgumentOutOfRangeException.ThrowIfLessThan(Deadline, TimeSpan.Zero, nameof(Deadline));
        if (!(Contrast > 1))
            throw new ArgumentOutOfRangeException(nameof(Contrast), Contrast, "A busy phase writes more than a quiet one.");
        return this;
    }
}
