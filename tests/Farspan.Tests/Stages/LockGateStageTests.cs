using Farspan.Backends;
using Farspan.Stages;
using Xunit;

namespace Farspan.Tests.Stages;

public sealed class LockGateStageTests
{
    private const int TimeLimit = 120_000;

    [Fact(Timeout = TimeLimit)]
    public async Task Locked_HoldsEverythingBack_UntilUnlocked()
    {
        await using var stage = new LockGateStage(new MemoryBackend(4096));
        var held = await stage.LockAsync();
        var calls = Calls(stage).Select(call => call()).ToArray();
        Assert.All(calls, call => Assert.False(call.IsCompleted));
        held.Dispose();
        await Task.WhenAll(calls);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task LockedForChanges_LetsReadsFlushesAndExtentsPass()
    {
        await using var stage = new LockGateStage(new MemoryBackend(4096));
        await stage.WriteAsync(0, new byte[1]);
        var held = await stage.LockAsync(GateScope.Changes);
        var calls = Calls(stage).Select(call => call()).ToArray();
        Assert.Equal([true, true, true, false, false, false], calls.Select(call => call.IsCompleted));
        Assert.True(stage.GetCapability<IMemoryLender>()!.TryLend(0, 1, out var lent));
        lent.Dispose();
        held.Dispose();
        await Task.WhenAll(calls);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task LockThatRefuses_FailsWhoWaitsAndWhoComes_UntilUnlocked()
    {
        await using var stage = new LockGateStage(new MemoryBackend(4096));
        var held = await stage.LockAsync();
        var waiting = Calls(stage).Select(call => call()).ToArray();
        held.Refuse(new BackendException(BackendError.Fenced, "gone"));
        foreach (var call in waiting.Concat(Calls(stage).Select(call => call())))
            Assert.Equal("gone", (await Assert.ThrowsAsync<BackendException>(() => call)).Message);
        held.Dispose();
        held.Refuse(new BackendException(BackendError.Fenced, "too late"));
        await Task.WhenAll(Calls(stage).Select(call => call()));
        using (await stage.LockAsync())
        {
            var again = stage.ReadAsync(0, new byte[1]).AsTask();
            Assert.False(again.IsCompleted);
        }
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Lock_WaitsForWhatIsUnderWay()
    {
        var faults = new FaultInjectionStage(new MemoryBackend(4096));
        await using var stage = new LockGateStage(faults);
        using var stall = faults.Inject(new FaultRule { Kind = FaultKind.Stall });
        var write = stage.WriteAsync(0, new byte[1]).AsTask();
        await stall.WaitForHitsAsync(1);
        var locking = stage.LockAsync().AsTask();
        Assert.False(locking.IsCompleted);
        var later = stage.ReadAsync(0, new byte[1]).AsTask();
        stall.Dispose();
        await write;
        using (await locking)
            Assert.False(later.IsCompleted);
        await later;
    }

    [Fact(Timeout = TimeLimit)]
    public async Task LockForChanges_DoesNotWaitForReads()
    {
        var faults = new FaultInjectionStage(new MemoryBackend(4096));
        await using var stage = new LockGateStage(faults);
        using var stall = faults.Inject(new FaultRule { Kind = FaultKind.Stall, Operations = BackendOperation.Read });
        var read = stage.ReadAsync(0, new byte[1]).AsTask();
        await stall.WaitForHitsAsync(1);
        (await stage.LockAsync(GateScope.Changes)).Dispose();
        Assert.False(read.IsCompleted);
        stall.Dispose();
        await read;
    }

    [Fact(Timeout = TimeLimit)]
    public async Task CancelledLock_OpensTheGateAgain()
    {
        var faults = new FaultInjectionStage(new MemoryBackend(4096));
        await using var stage = new LockGateStage(faults);
        using var stall = faults.Inject(new FaultRule { Kind = FaultKind.Stall, Operations = BackendOperation.Write });
        var write = stage.WriteAsync(0, new byte[1]).AsTask();
        await stall.WaitForHitsAsync(1);
        using var source = new CancellationTokenSource();
        var locking = stage.LockAsync(cancellationToken: source.Token).AsTask();
        var read = stage.ReadAsync(0, new byte[1]).AsTask();
        Assert.False(read.IsCompleted);
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => locking);
        await read;
        stall.Dispose();
        await write;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await stage.LockAsync(cancellationToken: source.Token));
        await stage.ReadAsync(0, new byte[1]);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task WaitingCall_IsCancelled_AndDoesNothingLater()
    {
        var record = new RecordingStage(new MemoryBackend(4096));
        await using var stage = new LockGateStage(record);
        var held = await stage.LockAsync();
        using var source = new CancellationTokenSource();
        var write = stage.WriteAsync(0, new byte[1], source.Token).AsTask();
        await source.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => write);
        held.Dispose();
        await stage.FlushAsync();
        Assert.Equal([BackendOperation.Flush], record.Calls.Select(call => call.Operation));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Locks_Count_AndAreGivenUpOnce()
    {
        await using var stage = new LockGateStage(new MemoryBackend(4096));
        var first = await stage.LockAsync();
        var second = await stage.LockAsync(GateScope.Changes);
        var write = stage.WriteAsync(0, new byte[1]).AsTask();
        var read = stage.ReadAsync(0, new byte[1]).AsTask();
        first.Dispose();
        first.Dispose();
        await read;
        Assert.False(write.IsCompleted);
        second.Dispose();
        await write;
    }

    [Fact(Timeout = TimeLimit)]
    public async Task DisposedWhileLocked_FailsWaitersWithAClearError()
    {
        var stage = new LockGateStage(new MemoryBackend(4096));
        var held = await stage.LockAsync();
        var calls = Calls(stage).Select(call => call()).ToArray();
        await stage.DisposeAsync();
        foreach (var call in calls)
        {
            var error = await Assert.ThrowsAsync<BackendException>(() => call);
            Assert.Equal(BackendError.ShuttingDown, error.Error);
            Assert.Contains("closed while its gate was locked", error.Message, StringComparison.Ordinal);
        }

        held.Dispose();
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await stage.LockAsync());
    }

    [Fact(Timeout = TimeLimit)]
    public async Task DisposedWhileALockIsTaken_FailsTheLock()
    {
        var faults = new FaultInjectionStage(new MemoryBackend(4096));
        var stage = new LockGateStage(faults);
        var stall = faults.Inject(new FaultRule { Kind = FaultKind.Stall });
        var write = stage.WriteAsync(0, new byte[1]).AsTask();
        await stall.WaitForHitsAsync(1);
        var locking = stage.LockAsync().AsTask();
        await stage.DisposeAsync();
        Assert.Equal(BackendError.ShuttingDown, (await Assert.ThrowsAsync<BackendException>(() => locking)).Error);
        await Assert.ThrowsAsync<BackendException>(() => write);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task BytesOnLoan_KeepALockWaiting_AndGoBackOnce()
    {
        await using var stage = new LockGateStage(new MemoryBackend(4096));
        await stage.WriteAsync(0, new byte[] { 5 });
        var lender = stage.GetCapability<IMemoryLender>()!;
        Assert.True(lender.TryLend(0, 1, out var lent));
        var locking = stage.LockAsync().AsTask();
        Assert.False(locking.IsCompleted);
        Assert.False(lender.TryLend(0, 1, out _));
        lent.Dispose();
        using (await locking)
            lent.Dispose();
        Assert.True(lender.TryLend(0, 1, out lent));
        lent.Dispose();
    }

    [Fact(Timeout = TimeLimit)]
    public async Task UnderLoad_NothingIsBelowWhileLocked()
    {
        var below = new WatchStage(new MemoryBackend(4096));
        await using var stage = new LockGateStage(below);
        using var stop = new CancellationTokenSource();
        var load = Enumerable.Range(0, 4).Select(worker => Task.Run(async () =>
        {
            for (long calls = worker; !stop.IsCancellationRequested; calls++)
            {
                if (calls % 2 == 0)
                    await stage.WriteAsync(worker, new byte[1]);
                else
                    await stage.ReadAsync(worker, new byte[1]);
                if (calls % 16 == 0)
                    await Task.Yield();
            }

        })).ToArray();
        await Task.Run(async () =>
        {
            for (int i = 0; i < 1000; i++)
            {
                // The load runs again before the next lock.
                for (long last = below.Entered; below.Entered < last + 20;)
                    await Task.Yield();
                using var held = await stage.LockAsync();
                Assert.Equal(0, below.UnderWay);
                long before = below.Entered;
                Thread.SpinWait(2000);
                Assert.Equal(before, below.Entered);
            }
        });
        await stop.CancelAsync();
        await Task.WhenAll(load);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task SynchronousCallsInATightLoop_NeverSlipPastALock()
    {
        var below = new WatchStage(new MemoryBackend(4096));
        await using var stage = new LockGateStage(below);
        using var stop = new CancellationTokenSource();
        var load = Task.Factory.StartNew(
            () =>
            {
                byte[] buffer = new byte[1];
                while (!stop.IsCancellationRequested)
                    stage.WriteAsync(1, buffer).AsTask().GetAwaiter().GetResult();
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        await Task.Factory.StartNew(
            () =>
            {
                for (int i = 0; i < 20_000; i++)
                {
                    using var held = stage.LockAsync().AsTask().GetAwaiter().GetResult();
                    Assert.Equal(0, below.UnderWay);
                    long before = below.Entered;
                    Thread.SpinWait(50);
                    Assert.Equal(before, below.Entered);
                }
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        await stop.CancelAsync();
        await load;
        Assert.True(below.Entered > 0);
    }

    private static IEnumerable<Func<Task>> Calls(LockGateStage backend)
    {
        yield return async () => await backend.ReadAsync(0, new byte[1]);
        yield return async () => await backend.FlushAsync();
        yield return async () => await backend.GetCapability<IExtentSource>()!.ListExtentsAsync(0, 1, 1, []);
        yield return async () => await backend.WriteAsync(0, new byte[1]);
        yield return async () => await backend.GetCapability<ITrim>()!.TrimAsync(0, 1);
        yield return async () => await backend.GetCapability<IZero>()!.ZeroAsync(0, 1);
    }

    /// <summary>Counts the calls that came, and those that are still here.</summary>
    private sealed class WatchStage(IBackend inner) : InterceptingStage(inner)
    {
        private long _entered;
        private long _underWay;

        public long Entered => Volatile.Read(ref _entered);

        public long UnderWay => Volatile.Read(ref _underWay);

        private protected override ValueTask InterceptAsync(in StageCall call, CancellationToken cancellationToken) => WatchAsync(call, cancellationToken);

        private async ValueTask WatchAsync(StageCall call, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref _entered);
            Interlocked.Increment(ref _underWay);
            if ((call.Offset & 1) == 0)
                await Task.Yield();
            await call.StartAsync(Below, cancellationToken);
            Interlocked.Decrement(ref _underWay);
        }
    }
}
