using Farspan.Chunks;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Tests.Chunks;

public sealed class ChunkRangeLockTests
{
    private const int TimeLimit = 120_000;

    [Fact(Timeout = TimeLimit)]
    public async Task RangesThatDoNotMeet_AreHeldTogether()
    {
        var locks = new ChunkRangeLock();
        var left = locks.AcquireAsync(0, 9, exclusive: true, default);
        var right = locks.AcquireAsync(10, 10, exclusive: true, default);
        Assert.True(left.IsCompletedSuccessfully && right.IsCompletedSuccessfully);
        locks.Release(await left);
        locks.Release(await right);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task SharedHolds_GoTogether_AndExclusiveWaitsForAll()
    {
        var locks = new ChunkRangeLock();
        var one = await locks.AcquireAsync(0, 5, exclusive: false, default);
        var two = await locks.AcquireAsync(5, 9, exclusive: false, default);
        var writer = locks.AcquireAsync(5, 5, exclusive: true, default).AsTask();
        Assert.False(writer.IsCompleted);
        locks.Release(one);
        Assert.False(writer.IsCompleted);
        locks.Release(two);
        locks.Release(await writer);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task LaterReaders_DoNotOvertakeAWaitingWriter()
    {
        var locks = new ChunkRangeLock();
        var reader = await locks.AcquireAsync(0, 0, exclusive: false, default);
        var writer = locks.AcquireAsync(0, 0, exclusive: true, default).AsTask();
        var later = locks.AcquireAsync(0, 0, exclusive: false, default).AsTask();
        Assert.False(later.IsCompleted);
        locks.Release(reader);
        var held = await writer;
        Assert.False(later.IsCompleted);
        locks.Release(held);
        locks.Release(await later);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task CancelledWaiter_FreesThoseBehindIt()
    {
        var locks = new ChunkRangeLock();
        using var source = new CancellationTokenSource();
        var reader = await locks.AcquireAsync(0, 0, exclusive: false, default);
        var writer = locks.AcquireAsync(0, 0, exclusive: true, source.Token).AsTask();
        var later = locks.AcquireAsync(0, 0, exclusive: false, default).AsTask();
        await source.CancelAsync();
        var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => writer);
        Assert.Equal(source.Token, error.CancellationToken);
        locks.Release(await later);
        locks.Release(reader);
        Assert.True(locks.AcquireAsync(0, long.MaxValue, exclusive: true, default).IsCompletedSuccessfully);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task TokenAlreadyCancelled_ThrowsOnlyWhereItWouldWait()
    {
        var locks = new ChunkRangeLock();
        var cancelled = new CancellationToken(canceled: true);
        var held = await locks.AcquireAsync(0, 0, exclusive: true, cancelled);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await locks.AcquireAsync(0, 0, exclusive: true, cancelled));
        locks.Release(held);
        Assert.True(locks.AcquireAsync(0, 0, exclusive: true, default).IsCompletedSuccessfully);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task TenThousandWaiters_AreServedInOrder_WithoutDeepStacks()
    {
        var locks = new ChunkRangeLock();
        var held = await locks.AcquireAsync(0, 0, exclusive: true, default);
        var order = new List<int>();
        var waiters = new List<Task>();
        for (int i = 0; i < 10_000; i++)
            waiters.Add(QueueAsync(locks, order, i));
        locks.Release(held);
        await Task.WhenAll(waiters);
        Assert.Equal(Enumerable.Range(0, 10_000), order);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task CancelledInTheMiddleOfAQueue_LeavesItsFollowersWaitingForWhatIsStillHeld()
    {
        var locks = new ChunkRangeLock();
        using var source = new CancellationTokenSource();
        var held = await locks.AcquireAsync(0, 0, exclusive: true, default);
        var cancelled = locks.AcquireAsync(0, 3, exclusive: true, source.Token).AsTask();
        var follower = locks.AcquireAsync(0, 1, exclusive: false, default).AsTask();
        var beside = locks.AcquireAsync(2, 3, exclusive: false, default).AsTask();
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        locks.Release(await beside);
        Assert.False(follower.IsCompleted);
        locks.Release(held);
        locks.Release(await follower);
        Assert.True(locks.AcquireAsync(0, long.MaxValue, exclusive: true, default).IsCompletedSuccessfully);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ManyThreadsAndCancellations_KeepTheRules_AndLeaveNothingHeld()
    {
        var locks = new ChunkRangeLock();
        const int Chunks = 12;
        var readers = new int[Chunks];
        var writers = new int[Chunks];
        int granted = 0;
        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            for (int i = 0; i < 1500; i++)
            {
                int first = random.Next(Chunks);
                int last = random.Next(first, Chunks);
                bool exclusive = random.Next(3) == 0;
                using var source = new CancellationTokenSource();
                var acquiring = locks.AcquireAsync(first, last, exclusive, random.Next(2) == 0 ? source.Token : default).AsTask();
                if (random.Next(3) == 0)
                    await source.CancelAsync();
                RangeHold hold;
                try
                {
                    hold = await acquiring;
                }
                catch (OperationCanceledException)
                {
                    continue;
                }

                Interlocked.Increment(ref granted);
                for (int chunk = first; chunk <= last; chunk++)
                {
                    int others = exclusive ? Interlocked.Increment(ref writers[chunk]) - 1 : Interlocked.Increment(ref readers[chunk]) * 0;
                    Assert.Equal(0, others);
                    Assert.Equal(0, exclusive ? Volatile.Read(ref readers[chunk]) : Volatile.Read(ref writers[chunk]));
                }

                if (random.Next(2) == 0)
                    await Task.Yield();
                for (int chunk = first; chunk <= last; chunk++)
                    Interlocked.Decrement(ref (exclusive ? writers : readers)[chunk]);
                locks.Release(hold);
            }
        })));
        Assert.True(granted > 1000);
        Assert.True(locks.AcquireAsync(0, long.MaxValue, exclusive: true, default).IsCompletedSuccessfully);
    }

    [Fact]
    public void AnySteps_GrantExactlyWhatAQueueInOrderWould()
    {
        var step =
            from what in Gen.Choose(0, 3)
            from first in Gen.Choose(0, 5)
            from last in Gen.Choose(first, 5)
            from exclusive in Gen.Elements(true, false)
            from which in Gen.Choose(0, 20)
            select (what, first, last, exclusive, which);
        Prop.ForAll(step.ArrayOf().ToArbitrary(), steps =>
        {
            // Every hold is granted once nothing before it in the queue conflicts with it.
            var locks = new ChunkRangeLock();
            var queue = new List<(long First, long Last, bool Exclusive, Task<RangeHold> Task, CancellationTokenSource Source)>();
            foreach (var (what, first, last, exclusive, which) in steps)
            {
                if (what < 2)
                {
                    var source = new CancellationTokenSource();
                    queue.Add((first, last, exclusive, locks.AcquireAsync(first, last, exclusive, source.Token).AsTask(), source));
                }
                else if (queue.Count > 0)
                {
                    var chosen = queue[which % queue.Count];
                    queue.RemoveAt(which % queue.Count);
                    chosen.Source.Cancel();
                    if (chosen.Task.IsCompletedSuccessfully)
                        locks.Release(chosen.Task.Result);
                    else
                        Assert.ThrowsAny<OperationCanceledException>(() => chosen.Task.GetAwaiter().GetResult());
                }

                for (int i = 0; i < queue.Count; i++)
                {
                    var mine = queue[i];
                    bool free = !queue.Take(i).Any(other => (other.Exclusive || mine.Exclusive) && other.First <= mine.Last && mine.First <= other.Last);
                    Assert.Equal(free, free ? mine.Task.Wait(TimeSpan.FromSeconds(30)) : mine.Task.IsCompleted);
                }
            }
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Uncontended_AllocatesNothing()
    {
        var locks = new ChunkRangeLock();
        for (int i = 0; i < 100; i++)
            locks.Release(locks.AcquireAsync(i, i, exclusive: true, default).Result);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
            locks.Release(locks.AcquireAsync(i, i, exclusive: true, default).Result);
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static async Task QueueAsync(ChunkRangeLock locks, List<int> order, int number)
    {
        // Off xunit's context, where each of the turns would be a hop between two threads.
        var hold = await locks.AcquireAsync(0, 0, exclusive: true, default).ConfigureAwait(false);
        order.Add(number);
        locks.Release(hold);
    }
}
