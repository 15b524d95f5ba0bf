using Farspan.Backends;
using Farspan.Linux.Interop;
using Farspan.Linux.Userfaults;
using Farspan.Stages;
using Farspan.TestKit;
using Xunit;
using InjectedKind = Farspan.Stages.FaultKind;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>What shows at one moment alone, or where somebody else has been at the memory.</summary>
public sealed class RegionMomentTests
{
    private const int Page = 4096;
    private const int Chunk = 16 << 10;
    private const int Length = 64 * Chunk;

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(120);
    private static readonly RegionOptions s_options = new() { ChunkSize = Chunk, ReadAhead = 0 };

    [RequiresFact("userfault")]
    public async Task WriteThatComesWhenASaveHasJustCopied_IsSavedTheNextTime()
    {
        await using var store = new MemoryBackend(Length);
        var inner = AnonymousMemory.Create(Length, isReadOnly: false);
        var memory = new ScriptedMemory(inner);
        var service = RegionService.Start(memory, store, s_options);
        await service.AcquireAsync(0, 1, RegionUse.Writing, default);
        Write(inner, 5, 1);
        memory.Copied = () => Write(inner, 5, 2);
        await service.SaveAsync(default);
        Assert.Equal(1, await StoredAsync(store, 5));
        await service.SaveAsync(default);
        Assert.Equal(2, await StoredAsync(store, 5));
        service.Release(0, 1, RegionUse.Writing);
        Assert.True(await service.StopAsync());
    }

    [RequiresFact("userfault")]
    public async Task WhatCouldNotBeSaved_IsNotDroppedForRoom()
    {
        await using var world = new RegionWorld(Length, s_options with { ResidentLimit = 16 * Chunk });
        await UseAsync(world, 0, RegionUse.Writing, () => world.Write(5, 99));
        world.Faulty.Fail(FaultKind.Write);
        await Assert.ThrowsAsync<BackendException>(() => world.Service.SaveAsync(default));
        for (long index = 1; index < 48; index++)
            await UseAsync(world, index * Chunk, RegionUse.Reading, () => Assert.Equal(world.Byte(index * Chunk), world.Touch(index * Chunk)));
        Assert.Equal(99, world.Touch(5));
        world.Faulty.Heal();
        await world.Service.SaveAsync(default);
        Assert.Equal(99, world.Stored(5));
    }

    [RequiresFact("userfault")]
    public async Task ViewAroundAChunkThatIsBeingBrought_ReadsTheOthersAlone()
    {
        await using var world = new RegionWorld(Length);
        using var stall = world.Injected.Inject(new FaultRule { Kind = InjectedKind.Stall, Operations = BackendOperation.Read });
        var touching = world.TouchAsync(2 * Chunk);
        await stall.WaitForHitsAsync(1);
        var view = world.Service.AcquireAsync(0, 4 * Chunk, RegionUse.Reading, default).AsTask();
        await stall.WaitForHitsAsync(2);
        stall.Dispose();
        await view;
        Assert.Equal(world.Byte(2 * Chunk), await touching);
        Assert.Equal(4 * Chunk, world.Service.Counters.FilledBytes);
        Assert.Equal(4 * Chunk, world.Service.ResidentBytes);
        world.Service.Release(0, 4 * Chunk, RegionUse.Reading);
    }

    [RequiresFact("userfault")]
    public async Task WholeChunkOverAPageThatIsPresent_IsNotTakenForWritten()
    {
        await using var world = new RegionWorld(Length);
        Assert.Equal(FillOutcome.Done, world.Memory.FillZero(Page, Page));
        Assert.Equal(Chunk, await world.Service.ClaimAbsentAsync(0, Chunk, default));
        Assert.False(world.Service.TryPut(0, Enumerable.Repeat((byte)7, Chunk).ToArray()));
        Assert.Equal(world.Byte(Page), world.Touch(Page));
        Assert.Equal(world.Byte(0), world.Touch(0));
        Assert.Equal(0, world.Service.CountWritten());
    }

    [RequiresFact("userfault")]
    public async Task WhatFollowsTheBackendsEnd_IsZero_WhateverWasBroughtBefore()
    {
        await using var store = new FaultyBackend(new MemoryBackend((2 * Chunk) + 100), isLate: false);
        await store.WriteAsync(0, Enumerable.Repeat((byte)7, (int)store.Length).ToArray());
        var memory = AnonymousMemory.Create((2 * Chunk) + Page, isReadOnly: false);
        var service = RegionService.Start(memory, store, s_options);
        Assert.Equal(7, Touch(memory, 0));
        Assert.Equal(7, Touch(memory, (2 * Chunk) + 99));
        Assert.Equal(0, Touch(memory, (2 * Chunk) + 100));
        Assert.Equal(0, Touch(memory, (2 * Chunk) + Page - 1));
        Assert.True(await service.StopAsync());
    }

    [RequiresFact("userfault")]
    public async Task ChunkOfZeroesAroundAPageThatIsPresent_IsBrought()
    {
        await using var world = new RegionWorld(Length, isZero: true);
        Assert.Equal(FillOutcome.Done, world.Memory.FillZero(Page, Page));
        await UseAsync(world, 0, RegionUse.Reading, () => Assert.Equal(0, world.Touch(Chunk - 1)));
        Assert.Equal(Chunk, world.Service.ResidentBytes);
    }

    [RequiresFact("root", "userfault", "userfault:POISON")]
    public async Task ChunkOfZeroesThatCouldNotBeBrought_CanBeAskedForAgain()
    {
        await using var world = new RegionWorld(Length, isZero: true);
        world.Faulty.Fail(FaultKind.Read);
        Assert.Null(await world.PeekAsync(5));
        world.Faulty.Heal();

        // Who asks while the failure is still being told is told of it, too.
        await Eventually.HoldsAsync(async () =>
        {
            try
            {
                await UseAsync(world, 0, RegionUse.Reading, static () => { });
                return true;
            }
            catch (BackendException)
            {
                return false;
            }
        });
        Assert.Equal((byte)0, await world.PeekAsync(5));
    }

    [RequiresFact("root", "userfault")]
    public async Task FaultInMemoryThatIsBeingRearranged_IsAnsweredOnceItIsNot()
    {
        await using var store = new MemoryBackend(Length);
        var memory = new ScriptedMemory(AnonymousMemory.Create(Length, isReadOnly: false)) { Rearranged = 2 };
        var service = RegionService.Start(memory, store, s_options);
        Assert.Equal((byte)0, await Task.Factory.StartNew(
            () => RegionWorld.Peek(memory, 5), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).WaitAsync(s_limit));
        Assert.Equal(0, memory.Rearranged);
        Assert.True(await service.StopAsync());
    }

    [RequiresFact("userfault")]
    public async Task MemoryThatIsBeingRearranged_TakesNothing_UntilTheEventIsRead()
    {
        using var memory = AnonymousMemory.Create(Length, isReadOnly: false, UserfaultFeatures.EVENT_REMOVE);
        Assert.Equal(FillOutcome.Done, Fill(memory, 0, Page));
        var dropping = Task.Factory.StartNew(() => memory.Drop(0, Page), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        long page = 0;
        var outcome = FillOutcome.Done;
        await Eventually.HoldsAsync(() => (outcome = Fill(memory, (page = (page + 1) % 64) * Page, Page)) != FillOutcome.Done);
        Assert.Equal(FillOutcome.TryAgain, outcome);
        await Eventually.HoldsAsync(() => Next(memory) == UserfaultEvent.REMOVE);
        await dropping.WaitAsync(s_limit);
        Assert.Equal(FillOutcome.Done, Fill(memory, 0, Length));
    }

    [RequiresFact("userfault")]
    public async Task ThreadWhosePageCameWithoutWakingIt_IsWokenByTheFillAroundThat()
    {
        using var memory = AnonymousMemory.Create(Length, isReadOnly: false);
        var touching = Task.Factory.StartNew(() => Touch(memory, Page), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        await Eventually.HoldsAsync(() => Next(memory) == UserfaultEvent.PAGEFAULT);
        Assert.Equal(Errno.Ok, FillQuietly(memory, Page));
        Assert.False(touching.IsCompleted);
        Assert.Equal(FillOutcome.Done, Fill(memory, 0, 4 * Page));
        Assert.Equal(1, await touching.WaitAsync(s_limit));
    }

    private static async Task UseAsync(RegionWorld world, long offset, RegionUse use, Action action)
    {
        await world.Service.AcquireAsync(offset, 1, use, default);
        action();
        world.Service.Release(offset, 1, use);
    }

    private static async Task<byte> StoredAsync(MemoryBackend store, long offset)
    {
        byte[] found = new byte[1];
        await store.ReadAsync(offset, found);
        return found[0];
    }

    private static unsafe void Write(AnonymousMemory memory, long offset, byte value) => memory.CopyIn(offset, &value, 1);

    private static unsafe byte Touch(AnonymousMemory memory, long offset)
    {
        byte found = 0;
        memory.CopyOut(offset, &found, 1);
        return found;
    }

    private static unsafe FillOutcome Fill(AnonymousMemory memory, long offset, int length)
    {
        var source = new FillBuffer(length);
        source.Span.Fill(2);
        return memory.Fill(offset, source.Start, length);
    }

    private static unsafe Errno FillQuietly(AnonymousMemory memory, long offset)
    {
        var source = new FillBuffer(Page);
        source.Span.Fill(1);
        return memory.Faults.Copy(memory.Address + (ulong)offset, source.Start, Page, Libc.UFFDIO_COPY_MODE_DONTWAKE, out _);
    }

    /// <summary>What was told next, if anything was.</summary>
    private static unsafe UserfaultEvent? Next(AnonymousMemory memory)
    {
        UserfaultMessage message;
        return memory.Faults.Read(&message, 1) == 1 ? message.Event : null;
    }
}
