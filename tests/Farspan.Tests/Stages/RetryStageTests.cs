using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit.Time;
using Xunit;

namespace Farspan.Tests.Stages;

public sealed class RetryStageTests
{
    private static readonly RetryOptions Steady = new() { FirstDelay = TimeSpan.FromMilliseconds(100), MaximumDelay = TimeSpan.FromSeconds(1), Jitter = false };

    [Fact]
    public void TransientFailures_AreRetried_WithDelaysThatDoubleUpToTheMaximum()
        => VirtualTime.Run(async clock =>
        {
            var reports = new List<RetryReport>();
            var (stage, faults) = Create(clock, Steady with { OnRetry = reports.Add });
            faults.Inject(new FaultRule { Error = BackendError.Disconnected, Count = 6 });
            await stage.WriteAsync(3, new byte[] { 9 });
            Assert.Equal([100, 200, 400, 800, 1000, 1000], reports.Select(r => r.Delay.TotalMilliseconds));
            Assert.Equal(TimeSpan.FromMilliseconds(3500), clock.Now);
            Assert.Equal([1, 2, 3, 4, 5, 6], reports.Select(r => r.Retry));
            Assert.All(reports, r => Assert.Equal((BackendOperation.Write, 3L, 1L, BackendError.Disconnected), (r.Operation, r.Offset, r.Length, r.Failure.Error)));
            byte[] actual = new byte[1];
            await stage.ReadAsync(3, actual);
            Assert.Equal(9, actual[0]);
        });

    [Theory]
    [InlineData(FaultKind.Error)]
    [InlineData(FaultKind.Short)]
    [InlineData(FaultKind.LostReply)]
    public void EveryOperation_SurvivesEveryKindOfTransientFailure(FaultKind kind)
        => VirtualTime.Run(async clock =>
        {
            var (stage, faults) = Create(clock, Steady);
            foreach (var operation in new[]
                { BackendOperation.Read, BackendOperation.Write, BackendOperation.Flush, BackendOperation.Trim, BackendOperation.Zero, BackendOperation.ListExtents })
                faults.Inject(new FaultRule { Kind = kind, Operations = operation, Error = BackendError.TimedOut, Count = 2 });
            await stage.WriteAsync(0, new byte[] { 1, 2, 3, 4 });
            byte[] actual = new byte[4];
            await stage.ReadAsync(0, actual);
            Assert.Equal([1, 2, 3, 4], actual);
            await stage.FlushAsync();
            await stage.GetCapability<IZero>()!.ZeroAsync(0, 2);
            var extents = new List<Extent>();
            await stage.GetCapability<IExtentSource>()!.ListExtentsAsync(0, 100, 10, extents);
            Assert.Single(extents);
            await stage.GetCapability<ITrim>()!.TrimAsync(0, 4);
        });

    [Theory]
    [InlineData(BackendError.InputOutput)]
    [InlineData(BackendError.NoSpace)]
    [InlineData(BackendError.ReadOnly)]
    [InlineData(BackendError.Corrupt)]
    public void OtherFailures_AreThrownAtOnce(BackendError error)
        => VirtualTime.Run(async clock =>
        {
            var (stage, faults) = Create(clock, Steady);
            var fault = faults.Inject(new FaultRule { Error = error });
            Assert.Equal(error, (await Assert.ThrowsAsync<BackendException>(async () => await stage.FlushAsync())).Error);
            Assert.Equal(1, fault.Hits);
            Assert.Equal(TimeSpan.Zero, clock.Now);
        });

    [Fact]
    public void Misuse_IsNeverRetried()
        => VirtualTime.Run(async clock =>
        {
            var record = new RecordingStage(new MemoryBackend(100));
            var stage = new RetryStage(record, Steady with { Clock = clock });
            await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await stage.ReadAsync(100, new byte[1]));
            Assert.Empty(record.Calls);
            await record.DisposeAsync();
            await Assert.ThrowsAsync<ObjectDisposedException>(async () => await stage.ReadAsync(0, new byte[1]));
            Assert.Single(record.Calls);
        });

    [Fact]
    public void RetriesUsedUp_ThrowTheLastFailure()
        => VirtualTime.Run(async clock =>
        {
            var (stage, faults) = Create(clock, Steady with { MaximumRetries = 2 });
            var fault = faults.Inject(new FaultRule { Error = BackendError.Disconnected });
            Assert.Equal(BackendError.Disconnected, (await Assert.ThrowsAsync<BackendException>(async () => await stage.FlushAsync())).Error);
            Assert.Equal(3, fault.Hits);
        });

    [Fact]
    public void TotalTimeout_EndsTheDelays_AndKeepsTheCause()
        => VirtualTime.Run(async clock =>
        {
            var (stage, faults) = Create(clock, Steady with { TotalTimeout = TimeSpan.FromSeconds(5) });
            faults.Inject(new FaultRule { Error = BackendError.Disconnected });
            var error = await Assert.ThrowsAsync<BackendException>(async () => await stage.ReadAsync(7, new byte[2]));
            Assert.Equal(BackendError.TimedOut, error.Error);
            Assert.Equal(TimeSpan.FromSeconds(5), clock.Now);
            Assert.StartsWith("Reading 2 bytes at 7 did not succeed within 5 s: ", error.Message, StringComparison.Ordinal);
            Assert.Equal(BackendError.Disconnected, Assert.IsType<BackendException>(error.InnerException).Error);
        });

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void TotalTimeout_CancelsAnAttemptThatHangs_TheFirstAsWellAsALater(int skip)
        => VirtualTime.Run(async clock =>
        {
            var (stage, faults) = Create(clock, Steady with { TotalTimeout = TimeSpan.FromSeconds(5) });
            faults.Inject(new FaultRule { Error = BackendError.Disconnected, Count = skip });
            faults.Inject(new FaultRule { Kind = FaultKind.Stall });
            var error = await Assert.ThrowsAsync<BackendException>(async () => await stage.ReadAsync(0, new byte[2]));
            Assert.Equal(BackendError.TimedOut, error.Error);
            Assert.Equal(TimeSpan.FromSeconds(5), clock.Now);
        });

    [Fact]
    public void CallersCancellation_EndsAttemptsAndDelays()
        => VirtualTime.Run(async clock =>
        {
            foreach (var rule in new FaultRule[] { new() { Kind = FaultKind.Stall }, new() { Error = BackendError.Disconnected } })
            {
                var (stage, faults) = Create(clock, Steady);
                faults.Inject(rule);
                using var source = new CancellationTokenSource(TimeSpan.FromMilliseconds(150), clock);
                var before = clock.Now;
                var error = await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await stage.ReadAsync(0, new byte[2], source.Token));
                Assert.Equal(source.Token, error.CancellationToken);
                Assert.Equal(TimeSpan.FromMilliseconds(150), clock.Now - before);
            }
        });

    [Fact(Timeout = 120_000)]
    public async Task CancelledBeforeThePipelineLooks_TheFirstAttemptIsEndedAndAwaited()
    {
        using var caller = new CancellationTokenSource();
        var below = new CancellingStage(new MemoryBackend(100), caller);
        await using var stage = new RetryStage(below);
        var write = stage.WriteAsync(0, new byte[1], caller.Token).AsTask();
        await below.Cancelled.Task;
        Assert.False(write.IsCompleted);
        below.Answer.SetException(new BackendException(BackendError.Disconnected, "The line is cut."));
        Assert.Equal(caller.Token, (await Assert.ThrowsAnyAsync<OperationCanceledException>(() => write)).CancellationToken);
    }

    [Fact]
    public void Jitter_ComesFromTheSourceGiven()
        => VirtualTime.Run(async clock =>
        {
            var first = await DelaysAsync(clock, seed: 1);
            Assert.Equal(first, await DelaysAsync(clock, seed: 1));
            Assert.NotEqual(first, await DelaysAsync(clock, seed: 2));
        });

    [Fact(Timeout = 120_000)]
    public async Task ManyCallsAtOnce_EachHaveTheirOwnAttempts()
    {
        var faults = new FaultInjectionStage(new YieldingStage(new MemoryBackend(10_000)), seed: 3);
        faults.Inject(new FaultRule { Error = BackendError.Disconnected, Probability = 0.3 });
        var options = new RetryOptions { FirstDelay = TimeSpan.FromTicks(1), MaximumDelay = TimeSpan.FromMilliseconds(1) };
        await using var stage = new RetryStage(faults, options);
        await Task.WhenAll(Enumerable.Range(0, 1000).Select(i => Task.Run(async () => await stage.WriteAsync(i * 10, BitConverter.GetBytes(i)))));
        byte[] actual = new byte[4];
        for (int i = 0; i < 1000; i++)
        {
            await stage.ReadAsync(i * 10, actual);
            Assert.Equal(i, BitConverter.ToInt32(actual));
        }
    }

    [Fact]
    public void OptionsOutOfBounds_Throw()
    {
        foreach (var options in new RetryOptions[]
        {
            new() { MaximumRetries = 0 }, new() { FirstDelay = TimeSpan.Zero }, new() { FirstDelay = TimeSpan.FromSeconds(6) },
            new() { MaximumDelay = TimeSpan.FromDays(2) }, new() { TotalTimeout = TimeSpan.Zero }, new() { TotalTimeout = TimeSpan.FromDays(2) },
        })
            Assert.Throws<ArgumentOutOfRangeException>(() => new RetryStage(new MemoryBackend(1), options));
    }

    private static async Task<List<TimeSpan>> DelaysAsync(VirtualTimeProvider clock, int seed)
    {
        var random = new Random(seed);
        var delays = new List<TimeSpan>();
        var (stage, faults) = Create(clock, Steady with { Jitter = true, Random = random.NextDouble, OnRetry = report => delays.Add(report.Delay) });
        faults.Inject(new FaultRule { Error = BackendError.Disconnected, Count = 5 });
        await stage.FlushAsync();
        return delays;
    }

    private static (RetryStage Stage, FaultInjectionStage Faults) Create(VirtualTimeProvider clock, RetryOptions options)
    {
        var faults = new FaultInjectionStage(new MemoryBackend(100));
        return (new RetryStage(faults, options with { Clock = clock }), faults);
    }

    /// <summary>Cancels the caller during its call, and does not heed that until it is told to.</summary>
    private sealed class CancellingStage(IBackend inner, CancellationTokenSource caller) : InterceptingStage(inner)
    {
        public TaskCompletionSource Cancelled { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        private protected override ValueTask InterceptAsync(in StageCall call, CancellationToken cancellationToken)
        {
            cancellationToken.Register(Cancelled.SetResult);
            caller.Cancel();
            return new ValueTask(Answer.Task);
        }
    }
}
