using Farspan.Transports;
using Xunit;

namespace Farspan.Tests.Transports;

public sealed class LinkOptionsTests
{
    [Fact]
    public void Parsed_HasWhatIsWritten()
    {
        Assert.Equal(
            new LinkOptions { RoundTripTime = TimeSpan.FromMilliseconds(25), UpRate = 1_000_000_000, DownRate = 1_000_000_000 },
            LinkOptions.Parse("rtt=25ms,rate=1Gbit"));
        Assert.Equal(
            new LinkOptions
            {
                RoundTripTime = TimeSpan.FromSeconds(1), UpRate = 512_000, DownRate = 2_500_000, Jitter = TimeSpan.FromMilliseconds(3), Seed = -7,
                QueueSize = 64 << 10,
            },
            LinkOptions.Parse(" up=512kbit, down=2.5Mbit, rtt=1s, jitter=3ms, seed=-7, queue=64KiB"));
        Assert.Equal(new LinkOptions { UpRate = 9600, DownRate = 9600 }, LinkOptions.Parse("rate=9600bit"));
    }

    [Theory]
    [InlineData("", "a part is empty")]
    [InlineData("rtt=25ms,", "a part is empty")]
    [InlineData("rtt", "'' is no duration for rtt")]
    [InlineData("rtt=25", "'25' is no duration for rtt")]
    [InlineData("rtt=-1ms", "'-1ms' is no duration for rtt")]
    [InlineData("rtt=2h", "RoundTripTime is out of its bounds")]
    [InlineData("rate=1GB", "'1GB' is no rate for rate")]
    [InlineData("rate=1gbit", "'1gbit' is no rate for rate")]
    [InlineData("rate=Gbit", "'Gbit' is no rate for rate")]
    [InlineData("rate=-1Gbit", "'-1Gbit' is no rate for rate")]
    [InlineData("rate=0bit", "UpRate is out of its bounds")]
    [InlineData("rate=1e9Gbit", "'1e9Gbit' is no rate for rate")]
    [InlineData("rate=99999999999999999999Gbit", "is no rate for rate")]
    [InlineData("rate=1Gbit,rate=1Gbit", "'rate' stands twice")]
    [InlineData("rate=1Gbit,up=1Gbit", "rate is both up and down")]
    [InlineData("speed=1Gbit", "'speed' is not known")]
    [InlineData("seed=x", "'x' is no number for seed")]
    [InlineData("queue=1", "QueueSize is out of its bounds")]
    [InlineData("queue=8GiB", "'8GiB' is no size for queue")]
    public void BadText_ThrowsOneLineThatSaysWhyAndWhatToGive(string text, string why)
    {
        var error = Assert.Throws<FormatException>(() => LinkOptions.Parse(text));
        Assert.Contains(why, error.Message, StringComparison.Ordinal);
        Assert.Contains($"'{text}' is no line", error.Message, StringComparison.Ordinal);
        Assert.Contains("rtt=25ms,rate=1Gbit", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Fact]
    public void OutOfBounds_ThrowsWhenTheLineIsMade()
    {
        foreach (var options in new LinkOptions[]
        {
            new() { RoundTripTime = TimeSpan.FromTicks(-1) }, new() { Jitter = TimeSpan.FromHours(2) }, new() { UpRate = 0 },
            new() { DownRate = long.MaxValue }, new() { QueueSize = 100 },
        })
            Assert.Throws<ArgumentOutOfRangeException>(() => new LinkModel(options));
    }
}
