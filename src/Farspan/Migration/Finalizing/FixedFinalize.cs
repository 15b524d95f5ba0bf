namespace Farspan.Migration.Finalizing;

/// <summary>
/// Asks for the hand-over after a time that is known beforehand, whatever is missing then: the program is at the destination at that time, and what is missing
/// comes afterwards. Until then it copies, and takes a round whenever all is copied.
/// </summary>
public sealed class FixedFinalize : IFinalizePolicy
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    private readonly TimeSpan _after;

    /// <param name="after">Time from the beginning of the copy to the hand-over; 0 hands over at once, with everything missing.</param>
    /// <exception cref="ArgumentOutOfRangeException">The time is negative.</exception>
    public FixedFinalize(TimeSpan after)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(after, TimeSpan.Zero);
        _after = after;
    }

    /// <inheritdoc/>
    public FinalizeStep Next(in PreCopyProgress progress)
    {
        if (progress.Elapsed >= _after)
            return FinalizeStep.Finalize;
        var left = _after - progress.Elapsed;
        if (progress.MissingBytes > 0)
            return FinalizeStep.Copy(left);
        var round = RoundPace.Next(progress, s_interval);
        return round.Delay < left ? round : FinalizeStep.Copy(left);
    }
}
