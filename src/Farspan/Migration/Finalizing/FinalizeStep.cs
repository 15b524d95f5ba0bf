namespace Farspan.Migration.Finalizing;

/// <summary>The answer of an <see cref="IFinalizePolicy"/>.</summary>
/// <param name="Action">What to do.</param>
/// <param name="Delay">For how long at most, or after what time: see <see cref="FinalizeAction"/>. From 0 to <see cref="LongestDelay"/>; what is beyond counts as these.</param>
public readonly record struct FinalizeStep(FinalizeAction Action, TimeSpan Delay)
{
    /// <summary>A policy is asked at least this often: each hour.</summary>
    public static TimeSpan LongestDelay { get; } = TimeSpan.FromHours(1);

    /// <summary>Ask for the hand-over now.</summary>
    public static FinalizeStep Finalize { get; } = new(FinalizeAction.Finalize, TimeSpan.Zero);

    /// <summary>Copy until all that is known to be missing is here, and for no longer than <paramref name="delay"/>.</summary>
    /// <param name="delay">Is brought within the bounds of a delay.</param>
    public static FinalizeStep Copy(TimeSpan delay) => new(FinalizeAction.Copy, Bounded(delay));

    /// <summary>Take another round after <paramref name="delay"/>, and copy until then.</summary>
    /// <param name="delay">Is brought within the bounds of a delay.</param>
    public static FinalizeStep Round(TimeSpan delay) => new(FinalizeAction.Round, Bounded(delay));

    /// <summary>Take another round after <paramref name="delay"/>, and copy nothing until then.</summary>
    /// <param name="delay">Is brought within the bounds of a delay.</param>
    public static FinalizeStep Watch(TimeSpan delay) => new(FinalizeAction.Watch, Bounded(delay));

    private static TimeSpan Bounded(TimeSpan delay) => delay < TimeSpan.Zero ? TimeSpan.Zero : delay > LongestDelay ? LongestDelay : delay;
}
