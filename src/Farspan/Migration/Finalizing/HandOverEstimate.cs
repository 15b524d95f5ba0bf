namespace Farspan.Migration.Finalizing;

/// <summary>What a hand-over would leave missing if it was asked for now, and what more copying would change of that.</summary>
internal readonly record struct HandOverEstimate
{
    // The latest samples that together are at least this long tell the rate of writes: a shorter time has too few chunks in it.
    private static readonly TimeSpan s_recent = TimeSpan.FromMilliseconds(250);

    public HandOverEstimate(in PreCopyProgress progress)
    {
        RegionBytes = Math.Max(0, progress.RegionBytes);
        KnownBytes = Math.Clamp(progress.MissingBytes, 0, RegionBytes);
        LineRate = double.IsFinite(progress.BytesPerSecond) && progress.BytesPerSecond > 0 ? progress.BytesPerSecond : 0;
        WriteRate = RecentRate(progress.Samples, RegionBytes);
        double unseen = ChangedIn((RoundPace.SinceLastRound(progress) + progress.RoundTrip).TotalSeconds);
        MissingBytes = RegionBytes > 0 ? KnownBytes + unseen * (1 - (double)KnownBytes / RegionBytes) : 0;
    }

    public long RegionBytes { get; }

    public long KnownBytes { get; }

    /// <summary>What is known to be missing, and what has probably changed since the last round.</summary>
    public double MissingBytes { get; }

    /// <summary>Bytes of chunks that are written in a second, lately; those that are written again in that second count again.</summary>
    public double WriteRate { get; }

    /// <summary>0 where it is not known.</summary>
    public double LineRate { get; }

    /// <summary>For how long what is missing would take to come; infinite where nobody knows how fast the line is.</summary>
    public double Seconds => SecondsFor(MissingBytes);

    /// <summary>For how long bytes take to come.</summary>
    public double SecondsFor(double bytes) => bytes <= 0 ? 0 : LineRate > 0 ? bytes / LineRate : double.PositiveInfinity;

    /// <summary>How much changes in a time. Of what is written at random some is written again, and counts once.</summary>
    public double ChangedIn(double seconds)
        => RegionBytes == 0 || !(seconds > 0) ? 0 : double.IsPositiveInfinity(seconds) ? (WriteRate > 0 ? RegionBytes : 0) : RegionBytes * -Math.Exp(-WriteRate * seconds / RegionBytes) + RegionBytes;

    /// <summary>Whether the line brings enough more than the program spoils. What is missing already cannot be spoilt.</summary>
    public bool CopyPays(double worthwhilePart)
        => KnownBytes > 0 && (LineRate == 0 || WriteRate * (1 - (double)KnownBytes / RegionBytes) <= worthwhilePart * LineRate);

    /// <summary>Whether another round, and the copy of what it lists, would leave enough less: what changes while that is copied.</summary>
    public bool RoundPays(double worthwhilePart) => LineRate == 0 || ChangedIn(Seconds) <= worthwhilePart * MissingBytes;

    // A longest rate keeps what follows finite.
    private static double RecentRate(IReadOnlyList<WriteSample> samples, long regionBytes)
    {
        const double Most = 1e30;
        double bytes = 0;
        double seconds = 0;
        for (int i = samples.Count - 1; i >= 0 && seconds < s_recent.TotalSeconds; i--)
        {
            double part = regionBytes > 0 ? Math.Clamp((double)samples[i].ChangedBytes / regionBytes, 0, 0.999) : 0;
            bytes -= Math.Log(1 - part) * regionBytes;
            seconds += Math.Max(0, samples[i].Length.TotalSeconds);
        }

        return seconds > 0 ? Math.Min(Most, bytes / seconds) : bytes > 0 ? Most : 0;
    }
}
