using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.TestKit.Contracts;

public abstract partial class BackendContract
{
    [Fact(Timeout = TimeLimit)]
    public async Task ConcurrentWritesThatShareUnits_LoseNothing()
    {
        await using var backend = await CreateAlignedAsync();
        const int Workers = 16;
        int stripe = 97 * Alignment;
        int rounds = (int)Math.Min(400, backend.Length / (stripe * Workers));
        byte[] data = BackendModel.Bytes(9, rounds * stripe * Workers);
        var start = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var tasks = Enumerable.Range(0, Workers).Select(worker => Task.Run(async () =>
        {
            await start.Task;
            for (int round = 0; round < rounds; round++)
            {
                int offset = ((round * Workers) + worker) * stripe;
                await backend.WriteAsync(offset, data.AsMemory(offset, stripe));
            }
        })).ToArray();
        start.SetResult();
        await Task.WhenAll(tasks);
        var buffer = Filled(data.Length);
        await backend.ReadAsync(0, buffer);
        Assert.Equal(data, buffer);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ConcurrentWritesOfOverlappingCalls_AreAllStartedBeforeAnyIsAwaited()
    {
        await using var backend = await CreateAlignedAsync();
        const int Calls = 200;
        int length = Alignment;
        byte[] data = BackendModel.Bytes(10, Calls * length);
        var pending = new List<Task>();
        for (int i = 0; i < Calls; i++)
            pending.Add(backend.WriteAsync(i * length, data.AsMemory(i * length, length)).AsTask());
        await Task.WhenAll(pending);
        pending.Clear();
        var buffers = Enumerable.Range(0, Calls).Select(_ => Filled(length)).ToArray();
        for (int i = 0; i < Calls; i++)
            pending.Add(backend.ReadAsync(i * length, buffers[i]).AsTask());
        await Task.WhenAll(pending);
        Assert.Equal(data, buffers.SelectMany(b => b).ToArray());
    }

    [Fact(Timeout = TimeLimit)]
    public async Task FlushesDuringWrites_DisturbNothing()
    {
        await using var backend = await CreateAlignedAsync();
        using var stop = new CancellationTokenSource();
        var flushing = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
                await backend.FlushAsync();
        });
        await new BackendModelRunner(backend, seed: 11, Alignment).RunConcurrentAsync(workers: 4, stepsEach: 60);
        await stop.CancelAsync();
        await flushing;
    }

    [Theory(Timeout = TimeLimit)]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    public async Task RandomConcurrentSteps_MatchTheModel(int seed)
    {
        await using var backend = await CreateAlignedAsync();
        await new BackendModelRunner(backend, seed, Alignment).RunConcurrentAsync(workers: 8, stepsEach: 80);
    }

    [Theory(Timeout = TimeLimit)]
    [InlineData(100)]
    [InlineData(101)]
    public async Task RandomSteps_MatchTheModel(int seed)
    {
        await using var backend = await CreateAlignedAsync();
        await new BackendModelRunner(backend, seed, Alignment).RunAsync(400);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task AnySteps_MatchTheModel_AndShrinkToTheShortestFailure()
    {
        const int Blocks = 300_000;
        int blocks = Math.Min(Blocks, (int)(AlignedLength / Alignment));
        var step =
            from kind in Gen.Elements(Enum.GetValues<ModelOperationKind>())
            from first in Gen.Choose(0, blocks - 1)
            from magnitude in Gen.Choose(0, 17)
            from length in Gen.Choose(1, 1 << magnitude)
            from seed in Gen.Choose(0, 1000)
            select new ModelOperation(kind, (long)first * Alignment, Math.Min(length, blocks - first) * Alignment, seed);
        var runs = step.ArrayOf().ToArbitrary();

        // Off xunit's context: FsCheck blocks its thread while the steps run.
        await Task.Run(() => Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(LongRun.Rounds(ModelRuns)),
            Prop.ForAll(runs, steps => RunStepsAsync(steps, (long)blocks * Alignment).GetAwaiter().GetResult())));
    }

    private async Task<bool> RunStepsAsync(ModelOperation[] steps, long length)
    {
        await using var backend = await CreateAsync(length);
        var model = new BackendModel((int)length);
        foreach (var step in steps)
            await model.ApplyAsync(backend, step);
        await model.CheckAllAsync(backend, Math.Max(Alignment, 65_536));
        return true;
    }
}
