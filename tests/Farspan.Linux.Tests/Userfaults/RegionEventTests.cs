using Farspan.Backends;
using Farspan.Linux.Interop;
using Farspan.Linux.Userfaults;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>What becomes of a region when its process forks, or moves the memory (docs/decisions/0091).</summary>
public sealed class RegionEventTests
{
    private const int Chunk = 16 << 10;
    private const int Length = 64 * Chunk;

    [RequiresFact("userfault", "gcc")]
    public async Task ChildOfThisProcess_HasNoneOfTheMemory()
    {
        using var helper = await NativeHelper.BuildAsync();
        await using var world = new RegionWorld(Length);
        Assert.Equal(world.Byte(5), world.Touch(5));
        Assert.Equal("signal 11", await helper.ForkedReadAsync(world.Memory.Address + 5));
        Assert.Equal("signal 11", await helper.ForkedReadAsync(world.Memory.Address + Chunk));
    }

    [RequiresFact("root", "userfault", "userfault:POISON", "gcc")]
    public async Task ChildThatGotTheMemory_HasWhatWasPresent_AndSigbusForTheRest()
    {
        using var helper = await NativeHelper.BuildAsync();
        await using var world = new RegionWorld(Length, features: UserfaultFeatures.EVENT_FORK);
        Assert.True(world.Memory.Faults.Features.HasFlag(UserfaultFeatures.EVENT_FORK));
        Assert.Equal(0, helper.Inherit(world.Memory.Address, Length));
        Assert.Equal(world.Byte(5), world.Touch(5));
        world.Write(6, 77);
        Assert.Equal($"exit {world.Byte(5)}", await helper.ForkedReadAsync(world.Memory.Address + 5));
        Assert.Equal("exit 77", await helper.ForkedReadAsync(world.Memory.Address + 6));
        Assert.Equal("signal 7", await helper.ForkedReadAsync(world.Memory.Address + (3 * Chunk)));

        // The parent's own is as it was, and what it wrote is saved.
        Assert.Equal(world.Byte(3 * Chunk), world.Touch(3 * Chunk));
        await world.Service.SaveAsync(default);
        Assert.Equal(77, world.Stored(6));
    }

    [RequiresFact("userfault", "gcc")]
    public async Task MemoryThatMovesAsAWhole_IsFollowed()
    {
        using var helper = await NativeHelper.BuildAsync();
        await using var world = new RegionWorld(Length, features: UserfaultFeatures.EVENT_REMAP);
        Assert.Equal(world.Byte(5), world.Touch(5));
        world.Write(Chunk, 1);
        ulong before = world.Memory.Address;
        ulong after = helper.Reserve(Length);
        Assert.Equal(0, await Task.Run(() => helper.MoveTo(before, Length, after)));
        await Eventually.HoldsAsync(() => world.Memory.Address == after);
        Assert.Equal(world.Byte(5), world.Touch(5));
        Assert.Equal(1, world.Touch(Chunk));
        Assert.Equal(world.Byte(9 * Chunk), world.Touch(9 * Chunk));
        world.Write(9 * Chunk, 2);
        await world.Service.SaveAsync(default);
        Assert.Equal((1, 2), (world.Stored(Chunk), world.Stored(9 * Chunk)));
        Assert.Equal(0, Libc.Unmap((nint)before, Length));
    }

    [RequiresFact("root", "userfault", "userfault:POISON", "gcc")]
    public async Task PartThatMoves_IsGone_AndAtItsNewPlaceNothingIsInvented()
    {
        using var helper = await NativeHelper.BuildAsync();
        await using var world = new RegionWorld(Length, features: UserfaultFeatures.EVENT_REMAP);
        Assert.Equal(world.Byte(5), world.Touch(5));
        ulong start = world.Memory.Address;
        ulong after = helper.Reserve(4 * Chunk);
        Assert.Equal(0, await Task.Run(() => helper.MoveTo(start, 4 * Chunk, after)));
        await Eventually.HoldsAsync(() => world.Service.ResidentBytes == 0);
        await Assert.ThrowsAsync<BackendException>(() => world.Service.AcquireAsync(Chunk, 1, RegionUse.Reading, default).AsTask());

        // What was present has come along; what was not cannot be brought there.
        Assert.Equal(world.Byte(5), await world.PeekAsync((long)(after - start) + 5));
        Assert.Null(await world.PeekAsync((long)(after - start) + (2 * Chunk)));
        Assert.Equal(world.Byte(9 * Chunk), world.Touch(9 * Chunk));
        Assert.Equal(0, Libc.Unmap((nint)after, 4 * Chunk));
    }
}
