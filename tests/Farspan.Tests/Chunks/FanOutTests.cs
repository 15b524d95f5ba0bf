using Farspan.Chunks;
using Xunit;

namespace Farspan.Tests.Chunks;

public sealed class FanOutTests
{
    private const int TimeLimit = 120_000;

    [Fact(Timeout = TimeLimit)]
    public async Task AllPieces_RunOnce_AtMostWidthAtOnce()
    {
        for (int width = 1; width <= 5; width++)
        {
            var log = new Log();
            await FanOut.RunAsync<Job, int>(new Job(log, 40, i => i % 3 == 0 ? default : YieldAsync()), width, default);
            Assert.Equal(Enumerable.Range(0, 40), log.Started.Order());
            Assert.InRange(log.MaximumAtOnce, 1, width);
        }
    }

    [Fact(Timeout = TimeLimit)]
    public async Task PiecesThatWait_GoOutTogether()
    {
        var log = new Log();
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var run = FanOut.RunAsync<Job, int>(new Job(log, 10, _ => new ValueTask(gate.Task)), 4, default).AsTask();
        Assert.Equal([0, 1, 2, 3], log.Started.Order());
        gate.SetResult();
        await run;
        Assert.Equal(10, log.Started.Count);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Failure_StartsNoMore_AwaitsThoseUnderWay_AndIsThrown()
    {
        var log = new Log();
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var run = FanOut.RunAsync<Job, int>(
            new Job(log, 10, i => i == 1 ? FailAsync() : new ValueTask(gate.Task)), 2, default).AsTask();
        Assert.False(run.IsCompleted);
        gate.SetResult();
        var error = await Assert.ThrowsAsync<InvalidOperationException>(() => run);
        Assert.Equal("piece", error.Message);
        Assert.Equal([0, 1], log.Started.Order());
    }

    [Fact(Timeout = TimeLimit)]
    public async Task FirstPieceFails_IsThrown()
    {
        var log = new Log();
        await Assert.ThrowsAsync<InvalidOperationException>(async () => await FanOut.RunAsync<Job, int>(new Job(log, 3, _ => FailAsync()), 1, default));
        Assert.Single(log.Started);
    }

    [Fact]
    public void SynchronousPieces_AllocateNothing()
    {
        var job = new Job(null, 50, _ => default);
        FanOut.RunAsync<Job, int>(job, 4, default).GetAwaiter().GetResult();
        long before = GC.GetAllocatedBytesForCurrentThread();
        FanOut.RunAsync<Job, int>(job, 4, default).GetAwaiter().GetResult();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static async ValueTask YieldAsync() => await Task.Yield();

    private static async ValueTask FailAsync()
    {
        await Task.Yield();
        throw new InvalidOperationException("piece");
    }

    private sealed class Log
    {
        private int _atOnce;

        public List<int> Started { get; } = [];

        public int MaximumAtOnce { get; private set; }

        public void Enter(int piece)
        {
            lock (Started)
            {
                Started.Add(piece);
                MaximumAtOnce = Math.Max(MaximumAtOnce, ++_atOnce);
            }
        }

        public void Leave()
        {
            lock (Started)
                _atOnce--;
        }
    }

    private struct Job(Log? log, int count, Func<int, ValueTask> run) : IPieceJob<int>
    {
        private int _next;

        public bool TryTake(out int piece)
        {
            piece = _next;
            return _next++ < count;
        }

        public readonly ValueTask RunAsync(int piece, CancellationToken cancellationToken)
            => log is null ? run(piece) : LoggedAsync(log, run, piece);

        private static async ValueTask LoggedAsync(Log log, Func<int, ValueTask> run, int piece)
        {
            log.Enter(piece);
            try
            {
                await run(piece);
            }
            finally
            {
                log.Leave();
            }
        }
    }
}
