using Farspan.TestKit.Time;
using Farspan.Transports;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Tests.Transports;

public sealed class LinkModelTests
{
    [Fact]
    public void Sent_DepartsOneAfterTheOther_AndArrivesHalfARoundTripLater()
    {
        var clock = new VirtualTimeProvider();
        var link = new LinkModel(LinkOptions.Parse("rtt=20ms,up=8Mbit,down=80Mbit"), clock);
        Assert.Equal(11, link.SendUp(1000).TotalMilliseconds);
        Assert.Equal(13, link.SendUp(2000).TotalMilliseconds);
        Assert.Equal(10.1, link.SendDown(1000).TotalMilliseconds);
        clock.Advance(TimeSpan.FromMilliseconds(2));
        Assert.Equal(14, link.SendUp(1000).TotalMilliseconds);
        clock.Advance(TimeSpan.FromMilliseconds(50));
        Assert.Equal(63, link.SendUp(1000).TotalMilliseconds);
        Assert.Equal(62, link.SendUp(0).TotalMilliseconds - 1);
    }

    [Fact]
    public void UnlimitedRate_OnlyDelays()
    {
        var link = new LinkModel(LinkOptions.Parse("rtt=20ms"), new VirtualTimeProvider());
        Assert.Equal(10, link.SendUp(long.MaxValue / 16).TotalMilliseconds);
        Assert.Equal(10, link.SendUp(1).TotalMilliseconds);
    }

    [Fact]
    public void ManySmallSends_TakeExactlyAsLongAsOneLargeSend()
        => Prop.ForAll(Gen.Choose(1, 2_000_000_000).ToArbitrary(), Gen.Choose(1, 3000).ArrayOf(200).ToArbitrary(), (rate, sizes) =>
        {
            var options = new LinkOptions { UpRate = rate };
            var small = new LinkModel(options, new VirtualTimeProvider());
            var large = new LinkModel(options, new VirtualTimeProvider());
            var last = TimeSpan.Zero;
            foreach (int size in sizes)
                last = small.SendUp(size);
            return last == large.SendUp(sizes.Sum());
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Jitter_IsWithinItsBounds_ReorderNothing_AndFollowsTheSeed()
    {
        var first = Arrivals("rtt=20ms,jitter=5ms,seed=3");
        Assert.Equal(first, Arrivals("rtt=20ms,jitter=5ms,seed=3"));
        Assert.NotEqual(first, Arrivals("rtt=20ms,jitter=5ms,seed=4"));
        Assert.True(first.Distinct().Count() > 100);
        Assert.Equal(first.Order(), first);
        for (int i = 0; i < first.Count; i++)
            Assert.InRange(first[i].TotalMilliseconds - i, 10, 15);
    }

    [Fact]
    public void Wait_EndsExactlyAtItsTime_OnAClockThatCountsTicks()
        => VirtualTime.Run(async clock =>
        {
            var link = new LinkModel(new LinkOptions(), clock);
            foreach (long ticks in new long[] { 1, 9_999, 10_001, 123_456_789 })
            {
                await link.WaitUntilAsync(new TimeSpan(ticks));
                Assert.Equal(ticks, clock.Now.Ticks);
            }

            await link.WaitUntilAsync(TimeSpan.Zero);
            Assert.Equal(123_456_789, clock.Now.Ticks);
        });

    [Fact(Timeout = 120_000)]
    public async Task Wait_OnTheSystemsClock_IsNeverEarly_AndEndsWhenCancelled()
    {
        var link = new LinkModel(new LinkOptions());
        await Task.WhenAll(Enumerable.Range(1, 200).Select(async i =>
        {
            var due = TimeSpan.FromMicroseconds(i * 137);
            await link.WaitUntilAsync(due);
            Assert.True(link.Now >= due);
        }));
        using var source = new CancellationTokenSource();
        var wait = link.WaitUntilAsync(TimeSpan.FromDays(1), source.Token).AsTask();
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => wait);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await link.WaitUntilAsync(TimeSpan.Zero, source.Token));
    }

    private static List<TimeSpan> Arrivals(string line)
    {
        var clock = new VirtualTimeProvider();
        var link = new LinkModel(LinkOptions.Parse(line), clock);
        var arrivals = new List<TimeSpan>();
        for (int i = 0; i < 300; i++)
        {
            arrivals.Add(link.SendUp(100));
            clock.Advance(TimeSpan.FromMilliseconds(1));
        }

        return arrivals;
    }
}
