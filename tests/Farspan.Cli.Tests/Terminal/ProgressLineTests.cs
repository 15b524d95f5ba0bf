using Farspan.Cli.Terminal;
using Xunit;

namespace Farspan.Cli.Tests.Terminal;

public sealed class ProgressLineTests
{
    [Fact(Timeout = 120_000)]
    public Task Format_SaysBytesRateAndTimeLeft()
    {
        Assert.Equal("copy: 25 %, 256 MiB of 1 GiB, 128 MiB/s, 6.0 s left", ProgressLine.Format("copy", 256L << 20, 1L << 30, TimeSpan.FromSeconds(2)));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task Format_OfAllBytes_SaysWhatStillGoesOn()
    {
        Assert.Equal("push: 100 %, 1 GiB of 1 GiB, 512 MiB/s, flushing", ProgressLine.Format("push", 1L << 30, 1L << 30, TimeSpan.FromSeconds(2), "flushing"));
        Assert.Equal("push: 50 %, 512 MiB of 1 GiB, 256 MiB/s, 2.0 s left", ProgressLine.Format("push", 512L << 20, 1L << 30, TimeSpan.FromSeconds(2), "flushing"));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task Format_OfAJobThatHardlyMoves_SaysSo()
    {
        Assert.EndsWith(" h 46 min left", ProgressLine.Format("copy", 1, 1L << 50, TimeSpan.FromSeconds(2)), StringComparison.Ordinal);
        return Task.CompletedTask;
    }

    [Theory(Timeout = 120_000)]
    [InlineData(0.0123, "12.3 ms")]
    [InlineData(3.44, "3.4 s")]
    [InlineData(42, "42 s")]
    [InlineData(125, "2 min 5 s")]
    [InlineData(11_045, "3 h 4 min")]
    public Task Duration_HasTheUnitThatFits(double seconds, string text)
    {
        Assert.Equal(text, ProgressLine.Duration(TimeSpan.FromSeconds(seconds)));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public async Task ShortJob_ShowsNothing()
    {
        using var output = new StringWriter();
        await using (ProgressLine.Start(output, ProgressMode.Redraw, "copy", 100, () => 50))
        {
        }

        Assert.Empty(output.ToString());
    }
}
