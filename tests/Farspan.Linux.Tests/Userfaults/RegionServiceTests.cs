using Farspan.Backends;
using Farspan.Linux.Interop;
using Farspan.Linux.Userfaults;
using Farspan.Stages;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>Raw touches by native code, which fault, and what becomes of them.</summary>
public sealed class RegionServiceTests
{
    private const int Page = 4096;
    private const int Chunk = 16 << 10;

    [RequiresFact("userfault")]
    public async Task Touch_BringsItsWholeChunk_AndNothingElse()
    {
        await using var world = new RegionWorld(1 << 20);
        Assert.Equal(world.Byte(5), world.Touch(5));
        Assert.Equal(world.Byte(Page + 7), world.Touch(Page + 7));
        Assert.Equal(1, world.Service.Counters.Faults);
        Assert.Equal(Chunk, world.Service.ResidentBytes);
    }

    [RequiresFact("userfault")]
    public async Task ManyThreads_OnFewChunks_BringEachOnce_AndAllSeeTheSame()
    {
        await using var world = new RegionWorld(4 << 20, new RegionOptions { ChunkSize = Chunk, ReadAhead = 0 });
        var threads = Enumerable.Range(0, 8).Select(t => Task.Factory.StartNew(
            () =>
            {
                for (long offset = t; offset < world.Length; offset += 4099)
                    Assert.Equal(world.Byte(offset), world.Touch(offset));
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default));
        await Task.WhenAll(threads);
        Assert.Equal(4 << 20, world.Service.Counters.FilledBytes);
        Assert.Null(world.Service.Failure);
    }

    [RequiresFact("userfault")]
    public async Task WrittenBytes_ReachTheBackend_AndOnlyTheirPages()
    {
        await using var world = new RegionWorld(1 << 20);
        world.Write((3 * Chunk) + 5, 99);
        await world.Service.SaveAsync(default);
        Assert.Equal(99, world.Stored((3 * Chunk) + 5));
        Assert.Equal(Page, world.Service.Counters.SavedBytes);
        await world.Service.SaveAsync(default);
        Assert.Equal(Page, world.Service.Counters.SavedBytes);
        world.Write((3 * Chunk) + 5, 98);
        Assert.Equal(Page, world.Service.CountWritten());
        await world.Service.SaveAsync(default);
        Assert.Equal(98, world.Stored((3 * Chunk) + 5));
    }

    [RequiresFact("userfault")]
    public async Task WriteIntoZeroes_IsSaved()
    {
        await using var world = new RegionWorld(1 << 20, isZero: true);
        Assert.Equal(0, world.Touch(Chunk));
        Assert.Equal(0, world.Service.CountWritten());
        world.Write(Chunk + 9, 7);
        Assert.Equal(Page, world.Service.CountWritten());
        await world.Service.SaveAsync(default);
        Assert.Equal(7, world.Stored(Chunk + 9));
    }

    [RequiresFact("userfault")]
    public async Task FailedSave_KeepsWhatWasWritten_AndTheNextOneSavesIt()
    {
        await using var world = new RegionWorld(1 << 20);
        world.Write(5, 99);
        world.Faulty.Fail(FaultKind.Write);
        await Assert.ThrowsAsync<BackendException>(() => world.Service.SaveAsync(default));
        Assert.True(world.Service.CountWritten() >= Page);
        world.Faulty.Heal();
        await world.Service.SaveAsync(default);
        Assert.Equal(99, world.Stored(5));
        Assert.Equal(0, world.Service.CountWritten());
    }

    [RequiresFact("userfault", "userfault:POISON")]
    public async Task FailedChunk_ThatNobodyTouches_IsAnError_AndCanBeAskedForAgain()
    {
        await using var world = new RegionWorld(1 << 20);
        world.Faulty.Fail(FaultKind.Read);
        await Assert.ThrowsAsync<BackendException>(() => world.Service.AcquireAsync(0, 1, RegionUse.Reading, default).AsTask());
        world.Faulty.Heal();
        await world.Service.AcquireAsync(0, 1, RegionUse.Reading, default);
        Assert.Equal(world.Byte(3), world.Touch(3));
        world.Service.Release(0, 1, RegionUse.Reading);
    }

    [RequiresFact("userfault")]
    public async Task PagesThatSomebodyDropped_AreBroughtAgain()
    {
        await using var world = new RegionWorld(1 << 20);
        Assert.Equal(world.Byte(Page), world.Touch(Page));
        world.Write(0, 1);
        Assert.Equal(0, Libc.Advise((nint)world.Memory.Address, Chunk, Libc.MADV_DONTNEED));
        Assert.Equal(world.Byte(0), world.Touch(0));
        Assert.Equal(world.Byte(Page), world.Touch(Page));
    }

    [RequiresFact("userfault")]
    public async Task LimitedRegion_StaysWithinItsLimit_AndLosesNothingThatWasWritten()
    {
        var options = new RegionOptions { ChunkSize = Chunk, ResidentLimit = 16 * Chunk };
        await using var world = new RegionWorld(64 * Chunk, options);
        for (int round = 0; round < 3; round++)
        {
            for (long index = 0; index < 64; index++)
            {
                long offset = index * Chunk;
                await world.Service.AcquireAsync(offset, Chunk, RegionUse.Writing, default);
                Assert.Equal((byte)(world.Byte(offset) + round), world.Touch(offset));
                world.Write(offset, (byte)(world.Byte(offset) + round + 1));
                world.Service.Release(offset, Chunk, RegionUse.Writing);
                Assert.True(world.Service.ResidentBytes <= 16 * Chunk);
            }
        }

        await world.Service.SaveAsync(default);
        for (long index = 0; index < 64; index++)
            Assert.Equal((byte)(world.Byte(index * Chunk) + 3), world.Stored(index * Chunk));
    }

    [RequiresFact("userfault")]
    public async Task MoreHeldThanMayBeInMemory_IsOneClearError()
    {
        await using var world = new RegionWorld(64 * Chunk, new RegionOptions { ChunkSize = Chunk, ResidentLimit = 16 * Chunk });
        var error = await Assert.ThrowsAsync<BackendException>(() => world.Service.AcquireAsync(0, 20 * Chunk, RegionUse.Reading, default).AsTask());
        Assert.Equal(BackendError.NoMemory, error.Error);
        await world.Service.AcquireAsync(0, 8 * Chunk, RegionUse.Reading, default);
        Assert.Equal(world.Byte(60 * Chunk), world.Touch(60 * Chunk));
        world.Service.Release(0, 8 * Chunk, RegionUse.Reading);
    }

    [RequiresFact("userfault")]
    public async Task WithoutTrackingByTheKernel_WhatWasHandedOutIsSaved()
    {
        await using var world = new RegionWorld(1 << 20, without: UserfaultFeatures.WP_ASYNC);
        Assert.False(world.Memory.TracksWrites);
        await world.Service.AcquireAsync(Chunk, 1, RegionUse.Writing, default);
        world.Write(Chunk, 1);
        await world.Service.SaveAsync(default);
        Assert.Equal(1, world.Stored(Chunk));
        world.Write(Chunk, 2);
        await world.Service.SaveAsync(default);
        Assert.Equal(2, world.Stored(Chunk));
        world.Write(Chunk, 3);
        world.Service.Release(Chunk, 1, RegionUse.Writing);
        await world.Service.SaveAsync(default);
        Assert.Equal(3, world.Stored(Chunk));
        Assert.Equal(0, world.Service.CountWritten());
    }

    [RequiresFact("userfault")]
    public async Task WithoutPoison_TouchesWait_UntilTheBackendIsBack()
    {
        await using var world = new RegionWorld(
            1 << 20, new RegionOptions { ChunkSize = Chunk, RetryDelay = TimeSpan.FromMilliseconds(20) }, without: UserfaultFeatures.POISON);
        world.Faulty.Fail(FaultKind.Read);
        var touched = world.TouchAsync(7);
        await Eventually.HoldsAsync(() => world.Service.Counters.Faults > 2);
        Assert.False(touched.IsCompleted);
        world.Faulty.Heal();
        Assert.Equal(world.Byte(7), await touched);
    }
}
