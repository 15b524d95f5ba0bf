using Farspan.Chunks;
using Farspan.Mounts;
using Xunit;

namespace Farspan.Tests.Mounts;

public sealed class PullOrderTests
{
    private static readonly ChunkLayout s_layout = new(40 * 4096, 4096);

    [Fact(Timeout = 60_000)]
    public Task Reverse_NamesEachChunkOnceFromTheEndOn()
    {
        Assert.Equal([(24, 16), (8, 16), (0, 8)], PullOrder.Reverse.Runs(s_layout));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 60_000)]
    public Task Ranges_ComeBeforeTheOrderOfTheRest()
    {
        Assert.Equal([(39, 1), (1, 2), (0, 40)], PullOrder.Ranges([(39 * 4096, 1), (4097, 4096), (1 << 20, 1)]).Runs(s_layout));
        Assert.Equal([(39, 1), (24, 16), (8, 16), (0, 8)], PullOrder.Ranges([(39 * 4096, 1)], PullOrder.Reverse).Runs(s_layout));
        return Task.CompletedTask;
    }
}
