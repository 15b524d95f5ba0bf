using Farspan.Migration.Finalizing;
using Xunit;

namespace Farspan.Tests.Migration.Finalizing;

public sealed class FixedFinalizeTests
{
    private readonly FixedFinalize _policy = new(TimeSpan.FromSeconds(30));

    [Fact]
    public void TimeIsOver_FinalizesWhateverIsMissing()
        => Assert.Equal(FinalizeStep.Finalize, _policy.Next(Progress(30, missing: 100)));

    [Fact]
    public void SomethingIsMissing_CopiesUntilTheTimeIsOver()
        => Assert.Equal(FinalizeStep.Copy(TimeSpan.FromSeconds(10)), _policy.Next(Progress(20, missing: 100)));

    [Fact]
    public void NothingIsMissing_TakesARound()
        => Assert.Equal(FinalizeStep.Round(TimeSpan.Zero), _policy.Next(Progress(20, missing: 0)));

    [Fact]
    public void NextRoundWouldComeTooLate_WaitsForTheEnd()
        => Assert.Equal(
            FinalizeStep.Copy(TimeSpan.FromSeconds(0.5)),
            _policy.Next(Progress(29.5, missing: 0) with { Samples = [new WriteSample(TimeSpan.FromSeconds(29.4), TimeSpan.FromSeconds(1), 0)] }));

    [Fact]
    public void NegativeTime_IsRefused() => Assert.Throws<ArgumentOutOfRangeException>(() => new FixedFinalize(TimeSpan.FromSeconds(-1)));

    private static PreCopyProgress Progress(double seconds, long missing) => new(TimeSpan.FromSeconds(seconds), 0, 100, missing, 0, 1, TimeSpan.Zero, []);
}
