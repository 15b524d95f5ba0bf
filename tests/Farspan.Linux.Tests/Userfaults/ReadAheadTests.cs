using Farspan.Linux.Userfaults;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>What faults that follow each other bring with them. Each step waits for what it expects, so that a slow machine changes nothing.</summary>
public sealed class ReadAheadTests
{
    private const int Chunk = 16 << 10;

    [RequiresTheory("userfault")]
    [InlineData(64)]
    [InlineData(66)]
    public async Task FaultsThatFollowEachOther_BringMoreEachTime_AndWhatWasBroughtFaultsNoMore(int chunks)
    {
        await using var world = new RegionWorld(chunks * Chunk, new RegionOptions { ChunkSize = Chunk, ReadAhead = 16 * Chunk });
        Touch(world, 8, 9);
        await ResidentAsync(world, 2 + 4);
        Touch(world, 10, 13);
        Assert.Equal(2, world.Service.Counters.Faults);
        Touch(world, 14, 14);
        await ResidentAsync(world, 7 + 8);
        Touch(world, 15, 23);
        Assert.Equal(4, world.Service.Counters.Faults);
        await ResidentAsync(world, 16 + 16);

        // No further than the option says.
        Touch(world, 24, 40);
        Assert.Equal(5, world.Service.Counters.Faults);
        await ResidentAsync(world, 33 + 16);
        Assert.Equal(49 * Chunk, world.Service.Counters.FilledBytes);
    }

    [RequiresFact("userfault")]
    public async Task SeveralStreamsAtOnce_AreEachReadAhead()
    {
        await using var world = new RegionWorld(64 * Chunk, new RegionOptions { ChunkSize = Chunk, ReadAhead = 4 * Chunk });
        int[] starts = [4, 24, 44];
        foreach (int start in starts)
            Touch(world, start, start);
        foreach (int start in starts)
            Touch(world, start + 1, start + 1);
        await ResidentAsync(world, 3 * 6);
        foreach (int start in starts)
            Touch(world, start + 2, start + 5);
        Assert.Equal(6, world.Service.Counters.Faults);
    }

    [RequiresFact("userfault")]
    public async Task FaultsHereAndThere_BringTheirChunksAlone()
    {
        var world = new RegionWorld(64 * Chunk, new RegionOptions { ChunkSize = Chunk, ReadAhead = 16 * Chunk });
        for (int index = 62; index > 0; index -= 2)
            Touch(world, index, index);

        // The end waits for whatever was begun.
        await world.DisposeAsync();
        Assert.Equal(31 * Chunk, world.Service.Counters.FilledBytes);
    }

    private static Task ResidentAsync(RegionWorld world, int chunks) => Eventually.HoldsAsync(
        () => world.Service.Counters.FilledBytes == chunks * Chunk, $"{chunks} chunks were brought");

    private static void Touch(RegionWorld world, int first, int last)
    {
        for (long index = first; index <= last; index++)
            Assert.Equal(world.Byte((index * Chunk) + 9), world.Touch((index * Chunk) + 9));
    }
}
