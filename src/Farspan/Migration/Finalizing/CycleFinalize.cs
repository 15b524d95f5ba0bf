namespace Farspan.Migration.Finalizing;

/// <summary>
/// For programs that write by turns much and little: learns both from what the rounds list, waits for a quiet phase, copies the rest in it, and asks for the hand-over there.
/// A program without phases is handed over as <see cref="AutoFinalize"/> does, once it has been observed for long enough.
/// </summary>
public sealed class CycleFinalize : IFinalizePolicy
{
    // What may be left to copy for the quiet phase, in seconds of the line and as a part of such a phase.
    private const double MostLeft = 1;
    private const double MostLeftPart = 0.2;

    private readonly CycleFinalizeOptions _options;
    private readonly AutoFinalize _auto;

    /// <summary>With the usual options.</summary>
    public CycleFinalize()
        : this(new CycleFinalizeOptions())
    {
    }

    /// <param name="options">How it looks for phases, and how long it waits.</param>
    /// <exception cref="ArgumentException">An option is out of its bounds.</exception>
    public CycleFinalize(CycleFinalizeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = options.Validate();
        _auto = new AutoFinalize(options.Auto);
    }

    /// <inheritdoc/>
    public FinalizeStep Next(in PreCopyProgress progress)
    {
        if (progress.Elapsed >= _options.Deadline || progress.Elapsed >= _options.Auto.Deadline || progress.SentBytes >= _auto.SendLimit(progress.RegionBytes))
            return Auto(progress);

        var estimate = new HandOverEstimate(progress);
        if (progress.Rounds > 0 && estimate.Seconds <= Little)
            return FinalizeStep.Finalize;

        var interval = progress.RoundTrip * 2 > _options.SampleInterval ? progress.RoundTrip * 2 : _options.SampleInterval;
        var rhythm = WriteRhythm.Find(progress.Samples, interval, _options.Contrast);
        if (rhythm is { IsQuiet: true })
        {
            bool endsSoon = rhythm.Left() is { } left && left <= interval;
            return endsSoon && estimate.Seconds <= _options.Auto.Target.TotalSeconds ? FinalizeStep.Finalize : Finish(progress, estimate, interval);
        }

        bool waits = rhythm is null ? progress.Elapsed < _options.Observation && !IsCostly(progress, estimate) : MayWait(progress, rhythm);
        return waits ? Wait(progress, estimate, interval, rhythm?.MeanLength(quiet: true)) : Finish(progress, estimate, interval);
    }

    // So little is missing that no phase would be better.
    private double Little => _options.Auto.Target.TotalSeconds / 10;

    // Another round makes what is missing smaller, but not smaller than what is written while it is taken.
    private FinalizeStep Finish(in PreCopyProgress progress, in HandOverEstimate estimate, TimeSpan interval)
    {
        double part = _options.Auto.WorthwhilePart;
        if (estimate.CopyPays(part) || progress.Rounds == 0)
            return Bounded(progress, RoundPace.Next(progress, interval));
        double least = estimate.SecondsFor(estimate.ChangedIn(3 * progress.RoundTrip.TotalSeconds));
        return estimate.KnownBytes == 0 && estimate.Seconds > least && estimate.LineRate > 0 && estimate.RoundPays(part)
            ? FinalizeStep.Round(TimeSpan.Zero)
            : Auto(progress);
    }

    // A busy phase that lasts far longer than those before it is not one of them.
    private bool MayWait(in PreCopyProgress progress, WriteRhythm rhythm)
    {
        if (rhythm.Left() is { } left && progress.Elapsed + left > _options.Deadline)
            return false;
        var longest = (rhythm.MeanLength(quiet: false) ?? TimeSpan.Zero) * 3;
        return rhythm.Age <= (longest > _options.Observation ? longest : _options.Observation);
    }

    // To keep up with a program that may have no phases at all costs bytes; without keeping up there is nothing to lose by looking on.
    private bool IsCostly(in PreCopyProgress progress, in HandOverEstimate estimate) => SentMuch(progress) && estimate.WriteRate < estimate.LineRate;

    // Whether the rest of what may be sent should be kept for the time when it pays.
    private bool SentMuch(in PreCopyProgress progress)
        => progress.SentBytes > progress.RegionBytes && progress.SentBytes > _auto.SendLimit(progress.RegionBytes) - progress.RegionBytes;

    // What changes again and again is copied only once there is too much of it for the quiet phase, and while enough may still be sent.
    private FinalizeStep Wait(in PreCopyProgress progress, in HandOverEstimate estimate, TimeSpan interval, TimeSpan? quietPhase)
    {
        double most = Math.Min(MostLeft, MostLeftPart * (quietPhase?.TotalSeconds ?? double.PositiveInfinity));
        double copying = estimate.SecondsFor(estimate.KnownBytes);
        bool wouldDo = estimate.SecondsFor(estimate.ChangedIn(copying)) <= Little;
        var round = RoundPace.Next(progress, interval);
        return Bounded(progress, !wouldDo && (copying <= most || SentMuch(progress)) ? FinalizeStep.Watch(round.Delay) : round);
    }

    private FinalizeStep Bounded(in PreCopyProgress progress, FinalizeStep step)
    {
        var end = _options.Deadline < _options.Auto.Deadline ? _options.Deadline : _options.Auto.Deadline;
        var left = end - progress.Elapsed;
        return step.Delay > left ? step with { Delay = left } : step;
    }

    // Rounds that were taken to see the writes do not count against its limit.
    private FinalizeStep Auto(in PreCopyProgress progress)
    {
        int rounds = Math.Min(progress.Rounds, 1);
        for (int i = progress.Samples.Count - 1; i >= 0 && progress.Samples[i].At > _options.Deadline; i--)
            rounds++;
        return _auto.Next(progress with { Rounds = rounds });
    }
}
