using Farspan.Migration.Finalizing;
using Xunit;

namespace Farspan.Tests.Migration.Finalizing;

public sealed class ManualFinalizeTests
{
    private readonly ManualFinalize _policy = new(TimeSpan.FromSeconds(4));

    [Fact]
    public void SomethingIsMissing_CopiesOn()
        => Assert.Equal(FinalizeStep.Copy(FinalizeStep.LongestDelay), _policy.Next(new PreCopyProgress(TimeSpan.FromHours(9), 0, 100, 1, 0, 1, TimeSpan.Zero, [])));

    [Fact]
    public void NothingIsMissing_TakesARoundOnceTheIntervalSinceTheLastIsOver()
    {
        var last = new WriteSample(TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(1), 0);
        Assert.Equal(FinalizeStep.Round(TimeSpan.FromSeconds(3)), _policy.Next(new PreCopyProgress(TimeSpan.FromSeconds(11), 1, 100, 0, 0, 1, TimeSpan.Zero, [last])));
        Assert.Equal(FinalizeStep.Round(TimeSpan.Zero), _policy.Next(new PreCopyProgress(TimeSpan.FromSeconds(15), 1, 100, 0, 0, 1, TimeSpan.Zero, [last])));
    }

    [Fact]
    public void IntervalOfZero_IsRefused() => Assert.Throws<ArgumentOutOfRangeException>(() => new ManualFinalize(TimeSpan.Zero));
}
