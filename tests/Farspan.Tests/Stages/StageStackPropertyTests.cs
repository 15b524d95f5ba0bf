using Farspan.Backends;
using Farspan.TestKit.Contracts;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Tests.Stages;

/// <summary>Random stacks of stages, up to five deep, do what a plain array does.</summary>
public sealed class StageStackPropertyTests
{
    private const int TimeLimit = 240_000;

    private static readonly Gen<StageChoice> Choices =
        from kind in Gen.Elements(Enum.GetValues<StageKind>())
        from shift in Gen.Choose(9, 13)
        from width in Gen.Choose(1, 5)
        select new StageChoice(kind, shift, width);

    private static readonly Gen<StackCase> Cases =
        from depth in Gen.Choose(1, 5)
        from choices in Choices.ArrayOf(depth)
        from length in Gen.Choose(1, 150_000)
        from seed in Gen.Choose(0, 1_000_000)
        select new StackCase(choices, length, seed);

    [Fact(Timeout = TimeLimit)]
    public Task Steps_OneAfterTheOther_MatchTheModel()
        => CheckAsync(400, async test =>
        {
            await using var backend = await StageStack.BuildAsync(test.Length, test.Choices, test.Seed);
            await new BackendModelRunner(backend, test.Seed, maximumLength: 40_000).RunAsync(60);
        });

    [Fact(Timeout = TimeLimit)]
    public Task Steps_AtOnceInDisjointRanges_MatchTheModel()
        => CheckAsync(300, async test =>
        {
            await using var backend = await StageStack.BuildAsync(test.Length, test.Choices, test.Seed);
            await new BackendModelRunner(backend, test.Seed, maximumLength: 20_000).RunConcurrentAsync(workers: 6, stepsEach: 25);
        });

    [Fact(Timeout = TimeLimit)]
    public Task Writers_ThatOverlap_ExplainEveryByte()
        => CheckAsync(500, async test =>
        {
            int length = Math.Min(test.Length, 9000);
            await using var backend = await StageStack.BuildAsync(length, test.Choices, test.Seed);
            var judge = new OverlapJudge(backend);
            await Task.WhenAll(Enumerable.Range(0, 5).Select(worker => Task.Run(async () =>
            {
                var random = new Random((test.Seed * 5) + worker);
                for (int i = 0; i < 16; i++)
                {
                    int offset = random.Next(length);
                    int count = Math.Min(length - offset, 1 + random.Next(1 << random.Next(1, 13)));
                    if (random.Next(4) == 0)
                        await judge.ReadAsync(offset, count);
                    else
                        await judge.WriteAsync(offset, count, random.Next(5) == 0 ? (byte)0 : (byte)(1 + (worker * 16) + i));
                }
            })));
            await judge.ReadAsync(0, length);
            Assert.Empty(judge.Faults);
        });

    [Fact(Timeout = TimeLimit)]
    public Task Cancelled_AtAnyMoment_BuffersAreLeftAlone()
        => CheckAsync(300, async test =>
        {
            var watch = new BufferWatchStage(new MemoryBackend(test.Length));
            await using var backend = await StageStack.BuildAsync(watch, test.Choices, test.Seed);
            await Task.WhenAll(Enumerable.Range(0, 3).Select(worker => Task.Run(async () =>
            {
                var random = new Random((test.Seed * 3) + worker);
                for (int i = 0; i < 12; i++)
                {
                    int offset = random.Next(test.Length);
                    byte[] buffer = new byte[Math.Min(test.Length - offset, 1 + random.Next(1 << random.Next(1, 15)))];
                    using var source = new CancellationTokenSource();
                    var call = random.Next(2) == 0
                        ? backend.ReadAsync(offset, buffer, source.Token).AsTask()
                        : backend.WriteAsync(offset, buffer, source.Token).AsTask();
                    for (int turns = random.Next(6); turns > 0; turns--)
                        await Task.Yield();
                    await source.CancelAsync();
                    try
                    {
                        await call;
                    }
                    catch (OperationCanceledException)
                    {
                    }

                    Assert.False(watch.Uses(buffer), $"call {i} of worker {worker}");
                }
            })));
        });

    // Off xunit's context: FsCheck blocks its thread while the steps run.
    private static Task CheckAsync(int count, Func<StackCase, Task> body)
        => Task.Run(() => Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(count),
            Prop.ForAll(Cases.ToArbitrary(), test => body(test).WaitAsync(TimeSpan.FromSeconds(60)).GetAwaiter().GetResult())));

    private sealed record StackCase(StageChoice[] Choices, int Length, int Seed)
    {
        public override string ToString() => $"memory of {Length} bytes, seed {Seed}, below {string.Join(" below ", Choices.AsEnumerable())}";
    }
}
