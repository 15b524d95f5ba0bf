using Farspan.Linux.Files;
using Xunit;

namespace Farspan.Linux.Tests.Files;

public sealed class FileWorkersTests
{
    [Fact(Timeout = 120_000)]
    public async Task Calls_RunAtOnceUpToTheMaximum()
    {
        await using var workers = new FileWorkers(maximum: 4);
        using var all = new Barrier(4);
        var calls = Enumerable.Range(0, 12).Select(_ => workers.RunAsync(() => Assert.True(all.SignalAndWait(TimeSpan.FromSeconds(90))), default));
        await Task.WhenAll(calls);
    }

    [Fact(Timeout = 120_000)]
    public async Task ManyCalls_AllRunOnNoMoreThreadsThanAllowed()
    {
        await using var workers = new FileWorkers(maximum: 3);
        int running = 0;
        int most = 0;
        int done = 0;
        var calls = Enumerable.Range(0, 3000).Select(_ => workers.RunAsync(
            () =>
            {
                int now = Interlocked.Increment(ref running);
                InterlockedMax(ref most, now);
                Interlocked.Increment(ref done);
                Interlocked.Decrement(ref running);
            },
            default)).ToArray();
        await Task.WhenAll(calls);
        Assert.Equal(3000, done);
        Assert.InRange(most, 1, 3);
    }

    [Fact(Timeout = 120_000)]
    public async Task Failure_ReachesWhoWaits_AndTheThreadGoesOn()
    {
        await using var workers = new FileWorkers(maximum: 1);
        await Assert.ThrowsAsync<InvalidOperationException>(() => workers.RunAsync(() => throw new InvalidOperationException("a"), default));
        await workers.RunAsync(() => { }, default);
    }

    [Fact(Timeout = 120_000)]
    public async Task CancelledInTheQueue_DoesNotRun()
    {
        await using var workers = new FileWorkers(maximum: 1);
        using var release = new ManualResetEventSlim();
        using var cancellation = new CancellationTokenSource();
        var first = workers.RunAsync(() => release.Wait(TimeSpan.FromSeconds(30)), default);
        bool ran = false;
        var second = workers.RunAsync(() => ran = true, cancellation.Token);
        await cancellation.CancelAsync();
        release.Set();
        await first;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);
        Assert.False(ran);
    }

    [Fact(Timeout = 120_000)]
    public async Task Disposing_RunsWhatWasQueued_AndTakesNoMore()
    {
        var workers = new FileWorkers(maximum: 2);
        int done = 0;
        var calls = Enumerable.Range(0, 500).Select(_ => workers.RunAsync(() => Interlocked.Increment(ref done), default)).ToArray();
        await workers.DisposeAsync();
        Assert.Equal(500, done);
        await Task.WhenAll(calls);
        Assert.Throws<ObjectDisposedException>(() => { _ = workers.RunAsync(() => { }, default); });
        await workers.DisposeAsync();
    }

    [Fact(Timeout = 120_000)]
    public async Task NeverUsed_IsDisposed()
        => await new FileWorkers(maximum: 2).DisposeAsync();

    private static void InterlockedMax(ref int target, int value)
    {
        int seen = Volatile.Read(ref target);
        while (value > seen && Interlocked.CompareExchange(ref target, value, seen) is var now && now != seen)
            seen = now;
    }
}
