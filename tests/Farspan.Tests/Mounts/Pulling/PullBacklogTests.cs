using Farspan.Chunks;
using Farspan.Mounts;
using Farspan.Mounts.Pulling;
using Farspan.TestKit.Time;
using Xunit;

namespace Farspan.Tests.Mounts.Pulling;

public sealed class PullBacklogTests
{
    private readonly VirtualTimeProvider _clock = new();
    private readonly ChunkMap _map = new(new ChunkLayout(20 * 4096, 4096));
    private readonly HashSet<long> _pulling = [];

    [Fact(Timeout = 60_000)]
    public Task Runs_LeaveOutWhatIsHereAndWhatIsOnItsWay_AndEndWithTheRegion()
    {
        _map.SetWhole(2);
        _map.SetZero(3, 2);
        _pulling.Add(7);
        var backlog = new PullBacklog(_map, PullOrder.Linear, _clock);
        Assert.Equal([(0, 2), (5, 2), (8, 4), (12, 4), (16, 4)], All(backlog, most: 4));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task Order_IsTaken_AndWhatItNamesTwiceComesAgainOnlyWhereItIsStillMissing()
    {
        var backlog = new PullBacklog(_map, PullOrder.Ranges([(10 * 4096, 4096)]), _clock);
        Assert.True(backlog.TryNext(8, _pulling.Contains, out long first, out long count));
        Assert.Equal((10, 1), (first, count));
        _map.SetWhole(10);
        Assert.Equal([(0, 8), (8, 2), (11, 8), (19, 1)], All(backlog, most: 8));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task WhatFailedForGood_ComesAgainLaterEachTime_UpToAMinute()
    {
        var backlog = new PullBacklog(_map, PullOrder.Linear, _clock);
        All(backlog, most: 20);
        Assert.Null(backlog.RetryIn);
        foreach (int seconds in new[] { 2, 4, 8, 16, 32, 60, 60 })
        {
            backlog.Failed(5, 1, isTransient: false);
            Assert.Equal(TimeSpan.FromSeconds(seconds), backlog.RetryIn);
            Assert.Empty(All(backlog, most: 4));
            _clock.Advance(TimeSpan.FromSeconds(seconds));
            Assert.Equal([(5, 1)], All(backlog, most: 4));
        }

        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task WhatAnOutageStopped_ComesAfterTheRunThatIsUnderWay()
    {
        var backlog = new PullBacklog(_map, PullOrder.Linear, _clock);
        Assert.True(backlog.TryNext(4, _pulling.Contains, out _, out _));
        backlog.Failed(0, 4, isTransient: true);
        Assert.Equal([(4, 4), (8, 4), (12, 4), (16, 4), (0, 4)], All(backlog, most: 4));
        return Task.CompletedTask;
    }

    private List<(long, long)> All(PullBacklog backlog, long most)
    {
        var runs = new List<(long, long)>();
        while (backlog.TryNext(most, _pulling.Contains, out long first, out long count))
            runs.Add((first, count));
        return runs;
    }
}
