using Farspan.Migration.Finalizing;
using Xunit;

namespace Farspan.Tests.Migration.Finalizing;

public sealed class CycleFinalizeTests
{
    private const long Region = 1_000_000_000;
    private const double Line = 100_000_000;

    private readonly CycleFinalize _policy = new();

    [Fact]
    public void RegionIsBeingCopied_TakesRoundsMeanwhile()
        => Assert.Equal(FinalizeStep.Round(TimeSpan.FromSeconds(0.5)), _policy.Next(Progress(2, Region * 8 / 10, _ => true)));

    [Fact]
    public void AlmostNothingIsWritten_DoesNotWaitForPhases()
        => Assert.Equal(FinalizeStep.Finalize, _policy.Next(Progress(11, missing: 0, _ => false)));

    [Fact]
    public void NoPhasesSeenYet_LooksOn()
        => Assert.Equal(FinalizeStep.Watch(TimeSpan.FromSeconds(0.5)), _policy.Next(Progress(15, missing: 30_000_000, _ => true)));

    [Fact]
    public void NoPhasesSeenForLongEnough_IsHandedOverWithinSeconds()
    {
        var step = _policy.Next(Progress(30, missing: 30_000_000, _ => true));
        Assert.Equal(FinalizeAction.Round, step.Action);
        Assert.Equal(FinalizeAction.Finalize, _policy.Next(Progress(30, missing: 0, _ => true)).Action);
    }

    [Fact]
    public void BusyPhase_WaitsAndCopiesNothingThatTheQuietOneHasRoomFor()
        => Assert.Equal(FinalizeAction.Watch, _policy.Next(Progress(70, missing: 50_000_000, Phases)).Action);

    [Fact]
    public void BusyPhase_CopiesWhatTheQuietOneHasNoRoomFor()
        => Assert.Equal(FinalizeAction.Round, _policy.Next(Progress(70, missing: 500_000_000, Phases)).Action);

    [Fact]
    public void BusyPhaseAndMuchWasSent_CopiesNothing()
        => Assert.Equal(FinalizeAction.Watch, _policy.Next(Progress(70, missing: 500_000_000, Phases) with { SentBytes = Region * 5 / 2 }).Action);

    [Fact]
    public void QuietPhase_CopiesTheRestAndFinalizes()
    {
        Assert.Equal(FinalizeAction.Round, _policy.Next(Progress(83, missing: 50_000_000, Phases)).Action);
        Assert.Equal(FinalizeStep.Finalize, _policy.Next(Progress(83, missing: 0, Phases)));
    }

    [Fact]
    public void QuietPhaseIsAboutToEnd_FinalizesWithinTheTarget()
    {
        Assert.Equal(FinalizeStep.Finalize, _policy.Next(Progress(89.5, missing: 20_000_000, Phases)));
        Assert.NotEqual(FinalizeStep.Finalize, _policy.Next(Progress(85, missing: 20_000_000, Phases)));
    }

    [Fact]
    public void NextQuietPhaseComesAfterTheDeadline_DoesNotWait()
    {
        var policy = new CycleFinalize(new CycleFinalizeOptions { Deadline = TimeSpan.FromSeconds(75) });
        Assert.Equal(FinalizeAction.Finalize, policy.Next(Progress(70, missing: 0, Phases)).Action);
        Assert.Equal(FinalizeAction.Round, _policy.Next(Progress(70, missing: 500_000_000, Phases)).Action);
    }

    [Fact]
    public void BusyPhaseLastsFarLongerThanThoseBefore_IsNotWaitedFor()
        => Assert.Equal(FinalizeAction.Finalize, _policy.Next(Progress(160, missing: 0, second => second > 60 || second % 10 < 5)).Action);

    [Fact]
    public void OptionsOutOfBounds_AreRefused()
    {
        CycleFinalizeOptions[] wrong =
        [
            new() { SampleInterval = TimeSpan.Zero }, new() { Observation = TimeSpan.FromSeconds(-1) }, new() { Deadline = TimeSpan.FromSeconds(-1) },
            new() { Contrast = 1 }, new() { Contrast = double.NaN }, new() { Auto = new AutoFinalizeOptions { MostRounds = 0 } }, new() { Auto = null! },
        ];
        Assert.All(wrong, options => Assert.ThrowsAny<ArgumentException>(() => new CycleFinalize(options)));
    }

    private static bool Phases(double second) => second % 30 < 20;

    // Rounds each half second, the last one now.
    private static PreCopyProgress Progress(double seconds, long missing, Func<double, bool> busy)
    {
        var samples = new List<WriteSample>();
        for (double at = 0.5; at <= seconds; at += 0.5)
            samples.Add(new WriteSample(TimeSpan.FromSeconds(at), TimeSpan.FromSeconds(0.5), (long)((busy(at - 0.25) ? 60e6 : 0.5e6) * 0.5)));
        return new PreCopyProgress(
            TimeSpan.FromSeconds(seconds), samples.Count, Region, missing, Region - missing, Line, TimeSpan.FromMilliseconds(1), samples[^Math.Min(256, samples.Count)..]);
    }
}
