namespace Farspan.Migration.Finalizing;

/// <summary>
/// Copies in rounds while they pay, each with what changed during the one before, and asks for the hand-over when what is missing would come within
/// the <see cref="AutoFinalizeOptions.Target"/>, when further rounds would not leave much less, or at a limit.
/// </summary>
public sealed class AutoFinalize : IFinalizePolicy
{
    private readonly AutoFinalizeOptions _options;

    /// <summary>With the usual options.</summary>
    public AutoFinalize()
        : this(new AutoFinalizeOptions())
    {
    }

    /// <param name="options">What it aims at, and where it stops.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its bounds.</exception>
    public AutoFinalize(AutoFinalizeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options.Validate();
    }

    /// <inheritdoc/>
    public FinalizeStep Next(in PreCopyProgress progress)
    {
        double bytesLeft = SendLimit(progress.RegionBytes) - progress.SentBytes;
        if (progress.Elapsed >= _options.Deadline || bytesLeft <= 0)
            return FinalizeStep.Finalize;

        var estimate = new HandOverEstimate(progress);
        if (progress.Rounds == 0 ? estimate.KnownBytes > 0 : estimate.CopyPays(_options.WorthwhilePart))
            return FinalizeStep.Copy(TimeLeft(progress, bytesLeft, estimate.LineRate));
        if (progress.Rounds == 0)
            return FinalizeStep.Round(TimeSpan.Zero);
        if (estimate.Seconds <= _options.Target.TotalSeconds || progress.Rounds >= _options.MostRounds || estimate.KnownBytes > 0)
            return FinalizeStep.Finalize;
        return estimate.RoundPays(_options.WorthwhilePart) ? FinalizeStep.Round(TimeSpan.Zero) : FinalizeStep.Finalize;
    }

    /// <summary>Bytes that may be copied of a region before the hand-over.</summary>
    internal double SendLimit(long regionBytes) => _options.MostSent * Math.Max(0, regionBytes);

    private TimeSpan TimeLeft(in PreCopyProgress progress, double bytesLeft, double lineRate)
    {
        var left = _options.Deadline - progress.Elapsed;
        double seconds = lineRate > 0 ? bytesLeft / lineRate : double.PositiveInfinity;
        return seconds < left.TotalSeconds ? TimeSpan.FromSeconds(seconds) : left;
    }
}
