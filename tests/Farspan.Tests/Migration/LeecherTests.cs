using Farspan.Backends;
using Farspan.Migration;
using Farspan.Migration.Finalizing;
using Farspan.TestKit.Simulation;
using Farspan.TestKit.Time;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Tests.Migration;

public sealed class LeecherTests
{
    private const int ChunkSize = 4096;
    private const int Length = (20 * ChunkSize) + 100;

    [Fact(Timeout = 120_000)]
    public Task BytesThatAreHere_DoNotComeAgain_WhereverTheyAre() => RunAsync(async world =>
    {
        byte[] bytes = world.Fill(world.Store);
        byte[] old = [.. bytes];
        old.AsSpan(0, 2 * ChunkSize).Clear();
        bytes.AsSpan(5 * ChunkSize, ChunkSize).CopyTo(old.AsSpan(9 * ChunkSize));
        bytes.AsSpan(9 * ChunkSize, ChunkSize).CopyTo(old.AsSpan(5 * ChunkSize));
        await world.Local.WriteAsync(0, old);

        await using var leecher = await world.LeechAsync(new FixedFinalize(TimeSpan.FromSeconds(1)));
        Assert.True(await leecher.Completed);
        Assert.Equal(bytes, await ReadAsync(leecher.Backend));

        // Of two chunks that changed places the first covers the second.
        Assert.Equal(3 * ChunkSize, leecher.Status.ReceivedBytes);
        Assert.Equal(Length - (3 * ChunkSize), leecher.Status.FoundBytes);
        Assert.Equal(Length, leecher.Status.VerifiedBytes);
    });

    [Fact(Timeout = 120_000)]
    public Task AnotherSource_IsBelievedWhereTheDigestIsRight() => RunAsync(async world =>
    {
        byte[] bytes = world.Fill(world.Store);
        await using var source = new MemoryBackend(Length);
        await source.WriteAsync(0, bytes);
        await source.WriteAsync(3 * ChunkSize, new byte[10]);
        await using var leecher = await world.LeechAsync(new FixedFinalize(TimeSpan.Zero), source);
        Assert.True(await leecher.Completed);
        Assert.Equal(bytes, await ReadAsync(leecher.Backend));
        Assert.True(leecher.Status.FoundBytes >= Length / 2, $"{leecher.Status}");
    });

    [Fact(Timeout = 120_000)]
    public Task WhatAStoreDoesNotKeep_IsNoticedBeforeTheSeederLetsGo() => RunAsync(async world =>
    {
        byte[] bytes = world.Fill(world.Store);
        await using var leecher = await world.LeechAsync(new ManualFinalize());
        await world.WaitAsync(() => leecher.Status.MissingBytes == 0);
        await world.Local.WriteAsync(7 * ChunkSize, new byte[1]);
        leecher.RequestFinalize();
        Assert.True(await leecher.Completed);
        Assert.Equal(bytes, await ReadAsync(leecher.Backend));
        Assert.Equal(RegionRole.Released, world.Seeder.Record.Role);
    });

    [Fact(Timeout = 120_000)]
    public Task WhatIsMissingAtTheHandOver_ComesWhileItIsBeingKept() => RunAsync(async world =>
    {
        byte[] bytes = world.Fill(world.Store);
        await using var leecher = await world.LeechAsync(new ManualFinalize(TimeSpan.FromHours(1)));
        await world.WaitAsync(() => leecher.Status.MissingBytes == 0);
        bytes[3 * ChunkSize] ^= 1;
        await world.Seeder.Backend.WriteAsync(3 * ChunkSize, bytes.AsMemory(3 * ChunkSize, 1));
        (world.TargetDisk.SectorLimit, world.TargetDisk.FailSyncOf) = (0, RegionRecordFile.Name);
        leecher.RequestFinalize();
        byte[] found = new byte[1];
        while (found[0] != bytes[3 * ChunkSize])
        {
            await world.WaitAsync(TimeSpan.FromMilliseconds(5));
            await world.Local.ReadAsync(3 * ChunkSize, found);
        }

        Assert.Equal((RegionRole.HandedOver, RegionRole.Following), (world.Seeder.Record.Role, leecher.Record.Role));
        Assert.False(leecher.Accepted.IsCompleted);
        Assert.False(world.Target.IsRunning);
        (world.TargetDisk.SectorLimit, world.TargetDisk.FailSyncOf) = (long.MaxValue, null);
        Assert.True(await leecher.Completed);
        Assert.Equal(bytes, await ReadAsync(leecher.Backend));
    });

    [Fact(Timeout = 120_000)]
    public Task AMoveThatIsGivenUp_LeavesTheRegionAndTheProgram() => RunAsync(async world =>
    {
        world.Fill(world.Store);
        await using var leecher = await world.LeechAsync(new ManualFinalize());
        await world.WaitAsync(() => leecher.Status.MissingBytes == 0);
        Assert.True(await leecher.GiveUpAsync());
        Assert.False(await leecher.Completed);
        Assert.True(leecher.Accepted.IsCanceled);
        Assert.Equal(RegionRole.Owner, world.Seeder.Record.Role);
        Assert.True(world.Source.IsRunning);
        Assert.False(world.Target.IsRunning);
        Assert.Equal(RegionRole.None, leecher.Record.Role);
    });

    [Fact(Timeout = 120_000)]
    public Task ARegionThatIsTakenBackByForce_FailsItsReadersHere_AndAsksNoMoreThanNowAndThen() => RunAsync(async world =>
    {
        world.Fill(world.Store);
        var seeder = new CountingSeeder(world.Seeder);
        await using var leecher = await Leecher.OpenAsync(
            world.TargetFiles, world.Local, seeder, world.Target, world.Options with { Policy = new FixedFinalize(TimeSpan.Zero), LongestRead = ChunkSize, Budget = 1 << 16 });
        seeder.IsHeld = true;
        await world.WaitAsync(() => leecher.Accepted.IsCompleted);
        Assert.True(await world.Seeder.TakeBackByForceAsync());
        seeder.Release();
        var refusal = await Assert.ThrowsAsync<BackendException>(() => leecher.Backend.ReadAsync(Length - 1, new byte[1]).AsTask());
        Assert.Equal(BackendError.Fenced, refusal.Error);
        int reads = seeder.Reads;
        await world.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.InRange(seeder.Reads - reads, 1, 10_000 / 50 * 4);
        Assert.False(leecher.Completed.IsCompleted);
    });

    [Fact(Timeout = 120_000)]
    public Task ASeederThatIsLostBeforeTheVerification_IsNotWaitedForOnceThatIsKnown() => RunAsync(async world =>
    {
        byte[] bytes = world.Fill(world.Store);
        await using var leecher = await Leecher.OpenAsync(
            world.TargetFiles, world.Local, new DyingSeeder(world.Seeder, () => world.Target.IsRunning), world.Target, world.Options with { Policy = new ManualFinalize() });
        await world.WaitAsync(() => leecher.Status.MissingBytes == 0);
        leecher.RequestFinalize();
        await world.WaitAsync(() => leecher.Accepted.IsCompleted);
        await world.WaitAsync(TimeSpan.FromSeconds(5));
        Assert.Equal((RegionRole.Receiving, false), (leecher.Record.Role, leecher.Completed.IsCompleted));
        leecher.ForgetSeeder();
        Assert.True(await leecher.Completed);
        Assert.Equal(bytes, await ReadAsync(leecher.Backend));
    });

    // Nothing else wakes a copy that follows.
    [Fact(Timeout = 120_000)]
    public async Task AfterALossOfTheLine_CopyingGoesOn_AlsoWhereATimerIsEarly()
    {
        await using var world = await LeecherWorld.OpenAsync(new EarlyClock(), Length, ChunkSize);
        byte[] bytes = world.Fill(world.Store);
        int calls = 0;
        var seeder = new DyingSeeder(world.Seeder, () => Interlocked.Increment(ref calls) is > 1 and < 4);
        await using var leecher = await Leecher.OpenAsync(world.TargetFiles, world.Local, seeder, world.Target, world.Options with { Policy = new ManualFinalize() });
        await world.WaitAsync(() => leecher.Status.MissingBytes == 0);
        Assert.True(calls > 4, $"{calls} calls");
        leecher.RequestFinalize();
        Assert.True(await leecher.Completed);
        Assert.Equal(bytes, await ReadAsync(leecher.Backend));
    }

    [Fact(Timeout = 120_000)]
    public Task AStoreOfAnotherLength_IsRefusedInOneLine() => RunAsync(async world =>
    {
        await using var local = new MemoryBackend(Length + 1);
        var refusal = await Assert.ThrowsAsync<BackendException>(
            () => Leecher.OpenAsync(world.TargetFiles, local, world.Seeder, world.Target, world.Options).AsTask());
        Assert.Equal((BackendError.Invalid, $"The local store has {Length + 1} bytes, and the region {Length}."), (refusal.Error, refusal.Message));
    });

    [Fact]
    public void WhatAProgramWrites_WhileTheRegionMovesFromHostToHost_IsWhatItReads()
        => Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(60),
            Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed => VirtualTime.RunSeed(seed, TimeSpan.FromHours(1), clock => MoveTwiceAsync(seed, clock))));

    private static async Task MoveTwiceAsync(int seed, TimeProvider clock)
    {
        var random = new Random(seed);
        await using var behind = random.Next(2) == 0 ? new MemoryBackend(Length) : null;
        var world = await LeecherWorld.OpenAsync(clock, Length, ChunkSize, behind);
        byte[] model = world.Fill(world.Store);
        IBackend backend = world.Seeder.Backend;
        var host = world.Source;
        long moves = 0;
        var isOver = false;
        var writing = UseAsync();
        await using var first = await MovedRegion.OpenAsync(world.TargetFiles, world.Local, world.Seeder, world.Target, Options());
        await MoveAsync(first, world.Target);
        var seeder = await first.SeedAsync(world.Target, new SeederOptions { ChunkSize = ChunkSize, Clock = clock, Behind = Behind("the second") });

        var last = new FreeHost();
        await using var second = await MovedRegion.OpenAsync(
            new SimulatedDisk(seed + 7, clock).Open(), new MemoryBackend(Length), seeder, last, Options());
        await MoveAsync(second, last);
        await Task.Delay(TimeSpan.FromSeconds(1), clock);
        isOver = true;
        await writing;
        Assert.Equal(model, await ReadAsync(second.Backend));
        Assert.Equal(2, moves);
        if (behind is not null)
        {
            await second.Backend.FlushAsync();
            Assert.Equal(model, await ReadAsync(behind));
        }

        await world.DisposeAsync();

        LeecherOptions Options() => new()
        {
            Clock = clock, Policy = new FixedFinalize(TimeSpan.FromMilliseconds(random.Next(3000))), RetryDelay = TimeSpan.FromMilliseconds(50),
            LongestRead = random.Next(1, 5) * ChunkSize, Behind = Behind("a target"),
        };

        StoreBehind? Behind(string holder) => behind is null ? null : new StoreBehind(behind, holder);

        async Task MoveAsync(MovedRegion region, FreeHost next)
        {
            await world.WaitAsync(() => region.Leecher.Accepted.IsCompleted);
            (backend, host) = (region.Backend, next);
            moves++;
            await world.WaitAsync(() => region.Leecher.Completed.IsCompleted);
            Assert.True(await region.Leecher.Completed);
        }

        // A call that was made before the suspension is answered, or waits for ever: then it was not carried out.
        async Task UseAsync()
        {
            while (!isOver)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(random.Next(20)), clock);
                if (!host.IsRunning)
                    continue;
                int offset = random.Next(Length), length = random.Next(1, Math.Min(3 * ChunkSize, Length - offset) + 1);
                byte[] bytes = new byte[length];
                switch (random.Next(4))
                {
                    case 0:
                        await backend.ReadAsync(offset, bytes);
                        Assert.Equal(model.AsSpan(offset, length).ToArray(), bytes);
                        break;
                    case 1:
                        await backend.GetCapability<IZero>()!.ZeroAsync(offset, length);
                        model.AsSpan(offset, length).Clear();
                        break;
                    case 2:
                        await backend.FlushAsync();
                        break;
                    default:
                        random.NextBytes(bytes);
                        await backend.WriteAsync(offset, bytes);
                        bytes.CopyTo(model.AsSpan(offset));
                        break;
                }
            }
        }
    }

    private static async Task<byte[]> ReadAsync(IBackend backend)
    {
        byte[] bytes = new byte[Length];
        await backend.ReadAsync(0, bytes);
        return bytes;
    }

    private static async Task RunAsync(Func<LeecherWorld, Task> test)
    {
        await Task.CompletedTask;
        VirtualTime.RunSeed(1, TimeSpan.FromHours(1), async clock =>
        {
            await using var world = await LeecherWorld.OpenAsync(clock, Length, ChunkSize);
            await test(world);
        });
    }
}
