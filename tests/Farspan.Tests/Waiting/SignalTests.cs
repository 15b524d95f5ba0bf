using Farspan.TestKit.Time;
using Farspan.Waiting;
using Xunit;

namespace Farspan.Tests.Waiting;

public sealed class SignalTests
{
    private const int TimeLimit = 120_000;

    [Fact(Timeout = TimeLimit)]
    public async Task Set_ReleasesAllWaiters_AndThoseThatComeLater()
    {
        var signal = new Signal();
        using var source = new CancellationTokenSource();
        var waiters = Enumerable.Range(0, 10).Select(i => signal.WaitAsync(i % 2 == 0 ? source.Token : default)).ToArray();
        Assert.All(waiters, waiter => Assert.False(waiter.IsCompleted));
        signal.Set();
        signal.Fail(new InvalidOperationException("late"));
        await Task.WhenAll(waiters);
        await signal.WaitAsync(default);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Cancelled_EndsOneWaiterOnly()
    {
        var signal = new Signal();
        using var source = new CancellationTokenSource();
        var cancelled = signal.WaitAsync(source.Token);
        var other = signal.WaitAsync(default);
        await source.CancelAsync();
        Assert.Equal(source.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled)).CancellationToken);
        Assert.False(other.IsCompleted);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => signal.WaitAsync(source.Token));
        signal.Set();
        await other;
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Failed_ThrowsForAll()
    {
        var signal = new Signal();
        var waiter = signal.WaitAsync(default);
        signal.Fail(new InvalidOperationException("gone"));
        await Assert.ThrowsAsync<InvalidOperationException>(() => waiter);
        await Assert.ThrowsAsync<InvalidOperationException>(() => signal.WaitAsync(default));
    }

    [Fact]
    public void Waiters_StayOnTheirScheduler()
        => VirtualTime.Run(async clock =>
        {
            var scheduler = TaskScheduler.Current;
            var signal = new Signal();
            using var source = new CancellationTokenSource(TimeSpan.FromSeconds(9), clock);
            await using var timer = clock.CreateTimer(_ => signal.Set(), null, TimeSpan.FromSeconds(5), Timeout.InfiniteTimeSpan);
            await signal.WaitAsync(source.Token);
            Assert.Same(scheduler, TaskScheduler.Current);
            Assert.Equal(TimeSpan.FromSeconds(5), clock.Now);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => new Signal().WaitAsync(source.Token));
            Assert.Equal(TimeSpan.FromSeconds(9), clock.Now);
        });

    [Fact(Timeout = TimeLimit)]
    public async Task SettingAgainstCancelling_LosesNobody()
    {
        for (int round = 0; round < 500; round++)
        {
            var signal = new Signal();
            using var source = new CancellationTokenSource();
            var waiters = Enumerable.Range(0, 4).Select(_ => signal.WaitAsync(source.Token)).ToArray();
            await Task.WhenAll(Task.Run(source.Cancel), Task.Run(signal.Set));
            foreach (var waiter in waiters)
                Assert.True(await Record.ExceptionAsync(() => waiter) is null or OperationCanceledException);
        }
    }
}
