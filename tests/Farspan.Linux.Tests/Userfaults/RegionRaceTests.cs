using Farspan.Backends;
using Farspan.Linux.Interop;
using Farspan.Linux.Userfaults;
using Farspan.Stages;
using Farspan.TestKit;
using Xunit;
using InjectedKind = Farspan.Stages.FaultKind;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>What happens at one chunk at one time.</summary>
public sealed class RegionRaceTests
{
    private const int Page = 4096;
    private const int Chunk = 16 << 10;

    [RequiresTheory("userfault")]
    [InlineData(64)]
    [InlineData(66)]
    public async Task PrefetchFaultsAndViews_OfTheSameChunks_ReadThemOnce(int chunks)
    {
        await using var world = new RegionWorld(chunks * Chunk);
        using var stall = world.Injected.Inject(new FaultRule { Kind = InjectedKind.Stall, Operations = BackendOperation.Read });
        var prefetch = world.Service.PrefetchAsync(0, 4 * Chunk, default);
        await stall.WaitForHitsAsync(1);
        var touches = Enumerable.Range(0, 4).Select(index => world.TouchAsync((index * Chunk) + 5)).ToArray();
        var views = Enumerable.Range(0, 4).Select(index => world.Service.AcquireAsync(index * Chunk, Chunk, RegionUse.Reading, default).AsTask()).ToArray();
        await Eventually.HoldsAsync(() => world.Service.Counters.Faults >= 4);
        Assert.DoesNotContain(touches, touch => touch.IsCompleted);
        Assert.DoesNotContain(views, view => view.IsCompleted);
        stall.Dispose();
        await prefetch;
        await Task.WhenAll(views);
        byte[] found = await Task.WhenAll(touches);
        Assert.Equal(Enumerable.Range(0, 4).Select(index => world.Byte((index * Chunk) + 5)), found);
        Assert.Equal(1, stall.Hits);
        Assert.Equal(4 * Chunk, world.Service.Counters.FilledBytes);
        world.Service.Release(0, 4 * Chunk, RegionUse.Reading);
    }

    [RequiresTheory("userfault")]
    [InlineData(64)]
    [InlineData(66)]
    public async Task FaultsBesideEvictions_OfTheSameChunks_NeverSeeOtherBytes_AndAllGoOn(int chunks)
    {
        await using var world = new RegionWorld(chunks * Chunk, new RegionOptions { ChunkSize = Chunk, ResidentLimit = 16 * Chunk, ReadAhead = 4 * Chunk });
        var readers = Enumerable.Range(1, 4).Select(reader => Task.Factory.StartNew(
            () =>
            {
                var random = new Random(reader);
                for (int step = 0; step < 4000; step++)
                {
                    // The first page of each chunk is the writer's.
                    long offset = (random.Next(chunks) * Chunk) + Page + random.Next(Chunk - Page);
                    Assert.Equal(world.Byte(offset), world.Touch(offset));
                }
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToArray();
        byte[] written = Enumerable.Range(0, chunks).Select(index => world.Byte(index * Chunk)).ToArray();
        for (int step = 0; !Array.TrueForAll(readers, reader => reader.IsCompleted); step++)
        {
            int index = (step * 7) % chunks;
            await world.Service.AcquireAsync(index * Chunk, 1, RegionUse.Writing, default);
            Assert.Equal(written[index], world.Touch(index * Chunk));
            world.Write(index * Chunk, ++written[index]);
            world.Service.Release(index * Chunk, 1, RegionUse.Writing);
        }

        await Task.WhenAll(readers);
        await world.Service.SaveAsync(default);
        Assert.Equal(written, Enumerable.Range(0, chunks).Select(index => world.Stored(index * Chunk)));
        Assert.True(world.Service.Counters.EvictedBytes > 100 * Chunk);
        Assert.Null(world.Service.Failure ?? world.Service.Counters.LastError);
    }

    [RequiresFact("userfault")]
    public async Task FaultOnAChunkThatWasJustDropped_IsNotForgotten()
    {
        await using var store = new MemoryBackend(64 * Chunk);
        await store.WriteAsync(3 * Chunk, new byte[] { 42 });
        var memory = new ScriptedMemory(AnonymousMemory.Create(64 * Chunk, isReadOnly: false));
        var service = RegionService.Start(memory, store, new RegionOptions { ChunkSize = Chunk, ResidentLimit = 16 * Chunk, ReadAhead = 0 });
        for (int index = 0; index < 16; index++)
        {
            await service.AcquireAsync(index * Chunk, 1, RegionUse.Reading, default);
            service.Release(index * Chunk, 1, RegionUse.Reading);
        }

        using var dropped = new SemaphoreSlim(0);
        using var goOn = new ManualResetEventSlim();
        memory.Dropped = () =>
        {
            dropped.Release();
            goOn.Wait(TimeSpan.FromSeconds(60));
        };
        var bringing = Task.Run(() => service.AcquireAsync(20 * Chunk, 1, RegionUse.Reading, default).AsTask());
        await dropped.WaitAsync();
        var touching = Task.Factory.StartNew(() => Touch(memory, 3 * Chunk), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        await Eventually.HoldsAsync(() => service.Counters.Faults == 1);
        goOn.Set();
        Assert.Equal(42, await touching.WaitAsync(TimeSpan.FromSeconds(60)));
        await bringing;
        service.Release(20 * Chunk, 1, RegionUse.Reading);
        Assert.True(await service.StopAsync());
    }

    [RequiresFact("userfault")]
    public async Task WriteToAPageThatIsBeingSaved_IsSavedTheNextTime()
    {
        await using var world = new RegionWorld(66 * Chunk);
        world.Write(5, 1);
        using var stall = world.Injected.Inject(new FaultRule { Kind = InjectedKind.Stall, Operations = BackendOperation.Write });
        var saving = world.Service.SaveAsync(default);
        await stall.WaitForHitsAsync(1);
        world.Write(5, 2);
        stall.Dispose();
        await saving;
        Assert.Equal(1, world.Stored(5));
        Assert.Equal(Page, world.Service.CountWritten());
        await world.Service.SaveAsync(default);
        Assert.Equal(2, world.Stored(5));
    }

    [RequiresFact("userfault")]
    public async Task WritesWithoutPause_BesideSavesWithoutPause_LoseNone()
    {
        await using var world = new RegionWorld(64 * Chunk);
        using var stop = new CancellationTokenSource();
        byte[] last = new byte[4];
        var writers = Enumerable.Range(0, last.Length).Select(writer => Task.Factory.StartNew(
            () =>
            {
                while (!stop.IsCancellationRequested)
                    world.Write((Page / 8) + writer, ++last[writer]);
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)).ToArray();
        for (int round = 0; round < 300; round++)
            await world.Service.SaveAsync(default);
        await stop.CancelAsync();
        await Task.WhenAll(writers);
        await world.Service.SaveAsync(default);
        Assert.Equal(last, Enumerable.Range(0, last.Length).Select(writer => world.Stored((Page / 8) + writer)));
        Assert.Equal(0, world.Service.CountWritten());
    }

    [RequiresFact("userfault")]
    public async Task SaveThatMakesRoom_DoesNotWaitForTheChunkThatWantsIt()
    {
        await using var store = new MemoryBackend(64 * Chunk);
        var memory = new ScriptedMemory(AnonymousMemory.Create(64 * Chunk, isReadOnly: false));
        var service = RegionService.Start(memory, store, new RegionOptions { ChunkSize = Chunk, ResidentLimit = 16 * Chunk, ReadAhead = 0 });
        foreach (int index in Enumerable.Range(0, 17).Where(index => index != 1))
        {
            Assert.Equal(Chunk, await service.ClaimAbsentAsync(index * Chunk, Chunk, default));
            Assert.True(service.TryPut(index * Chunk, new byte[Chunk]));
        }

        // Chunk 0 is the first that could go, and it is saved with what follows it.
        memory.Stale = new PageSpan(Chunk, Page);
        await service.AcquireAsync(Chunk, 1, RegionUse.Reading, default).AsTask().WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Null(memory.Stale);
        service.Release(Chunk, 1, RegionUse.Reading);
        Assert.True(await service.StopAsync());
    }

    [RequiresFact("userfault")]
    public async Task WriterThatGivesUpWaitingForRoom_LeavesItsChunkToWhoWaitsForIt()
    {
        await using var injected = new FaultInjectionStage(new MemoryBackend(64 * Chunk));
        await using var region = RemoteMemory.Map(
            injected, new RemoteMemoryOptions { ChunkSize = Chunk, ResidentLimit = 16 * Chunk, SaveInterval = TimeSpan.FromDays(1) });
        region.CopyFrom(0, new byte[16 * Chunk]);
        using var stall = injected.Inject(new FaultRule { Kind = InjectedKind.Stall, Operations = BackendOperation.Write });
        var flushing = region.FlushAsync();
        await stall.WaitForHitsAsync(1);
        using var giveUp = new CancellationTokenSource();
        var writing = region.CopyFromAsync(20 * Chunk, new byte[Chunk], giveUp.Token).AsTask();
        var reading = region.CopyToAsync(20 * Chunk, new byte[8]).AsTask();
        Assert.False(writing.IsCompleted);
        await giveUp.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => writing);
        stall.Dispose();
        await flushing;
        await reading;
    }

    [RequiresFact("userfault")]
    public async Task FlushBesideWritesOfTheSamePages_HasWhatWasWrittenBeforeIt()
    {
        const int Slot = 1000;
        var faulty = new FaultyBackend(new MemoryBackend(100 * Slot), isLate: true);
        await using (var region = RemoteMemory.Map(
            faulty, new RemoteMemoryOptions { ChunkSize = Page, ResidentLimit = 16 * Page, SaveInterval = TimeSpan.FromMilliseconds(10) }))
        {
            await Task.WhenAll(Enumerable.Range(0, 4).Select(writer => Task.Run(async () =>
            {
                byte[] stored = new byte[Slot];
                for (int step = 1; step <= 200; step++)
                {
                    long offset = ((step * 4 % 100) + writer) * Slot;
                    await region.CopyFromAsync(offset, Enumerable.Repeat((byte)step, Slot).ToArray());
                    await region.FlushAsync();
                    await faulty.ReadAsync(offset, stored);
                    Assert.False(stored.AsSpan().ContainsAnyExcept((byte)step), $"step {step} of writer {writer}");
                }
            })));
        }

        await faulty.DisposeAsync();
    }

    [RequiresFact("userfault")]
    public async Task CloseBesideReads_GivesEachItsBytes_OrSaysThatItIsClosed()
    {
        for (int round = 0; round < 40; round++)
        {
            var faulty = new FaultyBackend(new MemoryBackend(64 * Page), isLate: true);
            for (int index = 0; index < 64; index++)
                await faulty.WriteAsync(index * Page, Enumerable.Repeat((byte)(index + 1), Page).ToArray());
            var region = RemoteMemory.Map(faulty, new RemoteMemoryOptions { ChunkSize = Page, ResidentLimit = 16 * Page });
            int reads = 0;
            var readers = Enumerable.Range(0, 4).Select(reader => Task.Run(async () =>
            {
                byte[] found = new byte[8];
                for (int index = reader; ; index = (index + 5) % 64)
                {
                    try
                    {
                        await region.CopyToAsync(index * Page, found);
                    }
                    catch (ObjectDisposedException)
                    {
                        return;
                    }

                    Assert.False(found.AsSpan().ContainsAnyExcept((byte)(index + 1)));
                    Interlocked.Increment(ref reads);
                }
            })).ToArray();
            await Eventually.HoldsAsync(() => Volatile.Read(ref reads) > round * 10);
            Assert.True((await region.CloseAsync()).IsComplete);
            await Task.WhenAll(readers);
            await faulty.DisposeAsync();
        }
    }

    private static unsafe byte Touch(RegionMemory memory, long offset)
    {
        byte found = 0;
        Libc.CopyMemory(&found, (byte*)memory.Address + offset, 1);
        return found;
    }
}
