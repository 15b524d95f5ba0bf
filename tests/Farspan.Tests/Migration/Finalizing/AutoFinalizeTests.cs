using Farspan.Migration.Finalizing;
using Xunit;

namespace Farspan.Tests.Migration.Finalizing;

public sealed class AutoFinalizeTests
{
    private const long Region = 1_000_000_000;
    private const double Line = 100_000_000;

    private readonly AutoFinalize _policy = new();

    [Fact]
    public void NothingCopiedYet_Copies()
        => Assert.Equal(FinalizeAction.Copy, _policy.Next(Progress(0, missing: Region)).Action);

    [Fact]
    public void AllCopiedAndNoRoundYet_TakesOne()
        => Assert.Equal(FinalizeStep.Round(TimeSpan.Zero), _policy.Next(Progress(10, missing: 0)));

    [Fact]
    public void WhatIsMissingComesWithinTheTarget_Finalizes()
        => Assert.Equal(FinalizeStep.Finalize, _policy.Next(Progress(10.2, missing: 0, new WriteSample(At(10), At(10), 1_000_000))));

    [Fact]
    public void TooMuchHasChangedSinceTheLastRound_TakesAnother()
        => Assert.Equal(FinalizeStep.Round(TimeSpan.Zero), _policy.Next(Progress(12, missing: 0, new WriteSample(At(10), At(1), 40_000_000))));

    [Fact]
    public void ProgramWritesFasterThanTheLine_FinalizesAfterTheRoundThatShowsIt()
        => Assert.Equal(FinalizeStep.Finalize, _policy.Next(Progress(12, missing: 0, new WriteSample(At(10), At(1), 150_000_000))));

    [Fact]
    public void MuchIsMissingThatTheProgramCannotSpoil_CopiesThoughItWritesFast()
        => Assert.Equal(FinalizeAction.Copy, _policy.Next(Progress(12, missing: Region * 9 / 10, new WriteSample(At(10), At(1), 150_000_000))).Action);

    [Fact]
    public void RateOfTheLineIsNotKnown_GoesOn()
    {
        var progress = Progress(12, missing: 0, new WriteSample(At(10), At(1), 1_000_000)) with { BytesPerSecond = 0 };
        Assert.Equal(FinalizeStep.Round(TimeSpan.Zero), _policy.Next(progress));
    }

    [Fact]
    public void RoundsAreUsedUp_Finalizes()
    {
        var policy = new AutoFinalize(new AutoFinalizeOptions { MostRounds = 5 });
        var progress = Progress(12, missing: 0, new WriteSample(At(10), At(1), 40_000_000));
        Assert.Equal(FinalizeAction.Round, policy.Next(progress with { Rounds = 4 }).Action);
        Assert.Equal(FinalizeAction.Finalize, policy.Next(progress with { Rounds = 5 }).Action);
    }

    [Fact]
    public void BytesAreUsedUp_FinalizesWhateverIsMissing()
    {
        var policy = new AutoFinalize(new AutoFinalizeOptions { MostSent = 2 });
        var progress = Progress(12, missing: 900_000_000, new WriteSample(At(10), At(1), 40_000_000));
        Assert.Equal(FinalizeAction.Finalize, policy.Next(progress with { SentBytes = 2 * Region }).Action);

        // It asks to be asked again when they will be.
        Assert.Equal(FinalizeStep.Copy(At(5)), policy.Next(progress with { SentBytes = 2 * Region - 500_000_000 }));
    }

    [Fact]
    public void DeadlineIsOver_FinalizesWhateverIsMissing()
    {
        var policy = new AutoFinalize(new AutoFinalizeOptions { Deadline = At(20) });
        Assert.Equal(FinalizeStep.Copy(At(1)), policy.Next(Progress(19, missing: Region)));
        Assert.Equal(FinalizeStep.Finalize, policy.Next(Progress(20, missing: Region)));
    }

    [Fact]
    public void OptionsOutOfBounds_AreRefused()
    {
        AutoFinalizeOptions[] wrong =
        [
            new() { Target = TimeSpan.Zero }, new() { WorthwhilePart = 0 }, new() { WorthwhilePart = 1 }, new() { WorthwhilePart = double.NaN },
            new() { MostRounds = 0 }, new() { MostSent = 0.9 }, new() { MostSent = double.NaN }, new() { Deadline = TimeSpan.Zero },
        ];
        Assert.All(wrong, options => Assert.Throws<ArgumentOutOfRangeException>(() => new AutoFinalize(options)));
    }

    private static TimeSpan At(double seconds) => TimeSpan.FromSeconds(seconds);

    private static PreCopyProgress Progress(double seconds, long missing, params WriteSample[] samples)
        => new(At(seconds), samples.Length, Region, missing, Region - missing, Line, TimeSpan.FromMilliseconds(1), samples);
}
