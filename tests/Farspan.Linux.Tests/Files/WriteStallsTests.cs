using Farspan.Linux.Files;
using Farspan.TestKit.Time;
using Xunit;

namespace Farspan.Linux.Tests.Files;

public sealed class WriteStallsTests
{
    [Fact]
    public void QuickWrites_StayInline()
    {
        var clock = new VirtualTimeProvider();
        var stalls = new WriteStalls(clock);
        for (int i = 0; i < 100; i++)
        {
            Assert.True(stalls.MayWriteInline);
            long started = stalls.Start();
            clock.Advance(TimeSpan.FromMilliseconds(1));
            stalls.End(started);
        }
    }

    [Fact]
    public void OneStall_KeepsWritesOutForAWhile()
    {
        var clock = new VirtualTimeProvider();
        var stalls = new WriteStalls(clock);
        long started = stalls.Start();
        clock.Advance(TimeSpan.FromMilliseconds(30));
        stalls.End(started);
        Assert.False(stalls.MayWriteInline);
        clock.Advance(TimeSpan.FromMilliseconds(99));
        Assert.False(stalls.MayWriteInline);
        clock.Advance(TimeSpan.FromMilliseconds(1));
        Assert.True(stalls.MayWriteInline);
    }
}
