using Farspan.Chunks;
using Farspan.Mounts;
using Xunit;

namespace Farspan.Tests.Mounts;

public sealed class PullOrderTests
{
    private static readonly ChunkLayout s_layout = new(40 * 4096, 4096);

    [Fact(Timeout = 120_000)]
    public Task Reverse_NamesEachChunkOnceFromTheEndOn()
    {
        Assert.Equal([(24, 16), (8, 16), (0, 8)], PullOrder.Reverse.Runs(s_layout));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task Ranges_ComeBeforeTheOrderOfTheRest()
    {
        Assert.Equal([(39, 1), (1, 2), (0, 40)], PullOrder.Ranges([(39 * 4096, 1), (4097, 4096), (1 << 20, 1)]).Runs(s_layout));
        Assert.Equal([(39, 1), (24, 16), (8, 16), (0, 8)], PullOrder.Ranges([(39 * 4096, 1)], PullOrder.Reverse).Runs(s_layout));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task Priorities_HighestFirst_AndRisingWhereTheyAreTheSame()
    {
        Assert.Equal([(30, 10), (0, 10), (20, 10), (10, 10)], PullOrder.ByPriority(chunk => (chunk / 10) switch { 0 => 5, 1 => -1, 2 => 5, _ => 9 }).Runs(s_layout));
        var alternating = PullOrder.ByPriority(chunk => chunk % 2).Runs(s_layout).Select(run => (int)run.FirstChunk);
        Assert.Equal([.. Enumerable.Range(0, 20).Select(i => (2 * i) + 1), .. Enumerable.Range(0, 20).Select(i => 2 * i)], alternating);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task AnyOrder_NamesEveryChunk_AndNoneThatThereIsNot()
    {
        foreach (var layout in new[] { s_layout, new ChunkLayout(1, 4096), new ChunkLayout((17 * 4096) + 1, 4096) })
        {
            foreach (var order in new[]
            {
                PullOrder.Linear, PullOrder.Reverse, PullOrder.ByPriority(chunk => chunk * 31 % 7), PullOrder.Ranges([(-5, 10), (4096, long.MaxValue), (3, 0)], PullOrder.Reverse),
            })
            {
                var chunks = order.Runs(layout).SelectMany(run => Enumerable.Range((int)run.FirstChunk, (int)run.Count)).ToHashSet();
                Assert.Equal(Enumerable.Range(0, (int)layout.ChunkCount), chunks.Order());
            }
        }

        Assert.DoesNotContain(PullOrder.Reverse.Runs(new ChunkLayout(0, 4096)), run => run.Count > 0);
        Assert.DoesNotContain(PullOrder.ByPriority(chunk => chunk).Runs(new ChunkLayout(0, 4096)), run => run.Count > 0);
        return Task.CompletedTask;
    }
}
