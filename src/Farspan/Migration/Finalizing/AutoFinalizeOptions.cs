namespace Farspan.Migration.Finalizing;

/// <summary>What <see cref="AutoFinalize"/> aims at, and where it stops.</summary>
public sealed record AutoFinalizeOptions
{
    /// <summary>For how long what is missing at the hand-over may still take to come. More than 0; 300 ms unless told.</summary>
    public TimeSpan Target { get; init; } = TimeSpan.FromMilliseconds(300);

    /// <summary>A round pays where it leaves at most this part of what was missing before it. Between 0 and 1; 0.75 unless told.</summary>
    public double WorthwhilePart { get; init; } = 0.75;

    /// <summary>Most rounds. At least 1; 30 unless told.</summary>
    public int MostRounds { get; init; } = 30;

    /// <summary>
    /// Most bytes that are copied before the hand-over, as a multiple of the region; what is missing then comes once more. At least 1; 3 unless told.
    /// </summary>
    public double MostSent { get; init; } = 3;

    /// <summary>Time since the copy began after which the hand-over is asked for, whatever is missing. More than 0; unless told, none.</summary>
    public TimeSpan Deadline { get; init; } = TimeSpan.MaxValue;

    /// <exception cref="ArgumentOutOfRangeException">A value is out of its bounds.</exception>
    internal AutoFinalizeOptions Validate()
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(Target, TimeSpan.Zero, nameof(Target));
        if (!(WorthwhilePart > 0 && WorthwhilePart < 1))
            throw new ArgumentOutOfRangeException(nameof(WorthwhilePart), WorthwhilePart, "The part that a round may leave is between 0 and 1.");
        ArgumentOutOfRangeException.ThrowIfLessThan(MostRounds, 1, nameof(MostRounds));
        if (!(MostSent >= 1))
            throw new ArgumentOutOfRangeException(nameof(MostSent), MostSent, "At least the region itself is sent.");
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(Deadline, TimeSpan.Zero, nameof(Deadline));
        return this;
    }
}
