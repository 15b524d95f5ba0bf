namespace Farspan.Migration.Finalizing;

/// <summary>Rounds at an interval.</summary>
internal static class RoundPace
{
    /// <summary>A round once the interval since the last one is over.</summary>
    public static FinalizeStep Next(in PreCopyProgress progress, TimeSpan interval) => FinalizeStep.Round(interval - SinceLastRound(progress));

    /// <summary>For how long nobody has asked what changed.</summary>
    public static TimeSpan SinceLastRound(in PreCopyProgress progress)
    {
        var last = progress.Samples.Count > 0 ? progress.Samples[^1].At : TimeSpan.Zero;
        return last < progress.Elapsed ? progress.Elapsed - last : TimeSpan.Zero;
    }
}
