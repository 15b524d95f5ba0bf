using System.Runtime.InteropServices;
using Farspan.Backends;
using Farspan.Backends.Leases;
using Farspan.Migration;
using Farspan.Migration.Finalizing;
using Farspan.Stages;
using Farspan.TestKit.Simulation;
using Farspan.TestKit.Time;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Tests.Migration;

/// <summary>Moves of a region with a store behind it, in which a host is lost for good.</summary>
public sealed class StoreBehindTests
{
    private const int ChunkSize = 4096;
    private const int Length = (30 * ChunkSize) + 77;

    [Fact]
    public void TheSeederIsLost_AfterItHandedOver_AndNothingIs()
        => RunSeeds(async (random, clock) =>
        {
            await using var behind = new MemoryBackend(Length);
            await using var world = await LeecherWorld.OpenAsync(clock, Length, ChunkSize, behind);
            byte[] model = world.Fill(world.Store);
            var program = new Program(random, clock, model);
            program.Use(world.Seeder.Backend);
            Leecher? leecher = null;
            bool isLost = false;
            var seeder = new DyingSeeder(world.Seeder, () => isLost);
            leecher = await Leecher.OpenAsync(world.TargetFiles, world.Local, seeder, world.Target, world.Options with
            {
                Policy = new FixedFinalize(TimeSpan.FromMilliseconds(random.Next(200))), Behind = new StoreBehind(behind, "the target"), Verify = random.Next(2) == 0,
                LongestRead = ChunkSize, Budget = 1 << 16,
            });
            await world.WaitAsync(() => leecher.Accepted.IsCompleted);
            isLost = true;
            program.Use(leecher.Backend);
            leecher.ForgetSeeder();
            Assert.True(await leecher.Completed);
            await program.StopAsync();
            Assert.Equal(model, await ReadAsync(leecher.Backend));
            Assert.Equal((RegionRole.Owner, Guid.Empty), (leecher.Record.Role, leecher.Record.Token));
            await leecher.DisposeAsync();
        });

    // To compare all of a region would hold its program's flushes back for long.
    [Fact]
    public void ARegionIsSeededOn_WithoutAComparison_AndIsBehindItAllTheSame()
        => RunSeeds(async (random, clock) =>
        {
            await using var behind = new CountedReads(Length);
            await using var world = await LeecherWorld.OpenAsync(clock, Length, ChunkSize, behind);
            byte[] model = world.Fill(world.Store);
            await using var region = await MovedRegion.OpenAsync(
                world.TargetFiles, world.Local, world.Seeder, world.Target, world.Options with { Policy = new FixedFinalize(TimeSpan.Zero), Behind = new StoreBehind(behind, "the target") });
            Assert.True(await region.Leecher.Completed);
            await WriteAsync(model.AsMemory(random.Next(Length - 100), 100));
            long reads = behind.Reads;
            await region.SeedAsync(world.Target, new SeederOptions { ChunkSize = ChunkSize, Clock = clock, Behind = new StoreBehind(behind, "the target") });
            await WriteAsync(model.AsMemory(random.Next(Length - 100), 100));
            await region.Backend.FlushAsync();
            Assert.Equal(reads, behind.Reads);
            Assert.Equal(model, await ReadAsync(behind));

            ValueTask WriteAsync(Memory<byte> bytes)
            {
                bytes.Span.Fill((byte)random.Next());
                MemoryMarshal.TryGetArray<byte>(bytes, out var segment);
                return region.Backend.WriteAsync(segment.Offset, bytes);
            }
        });

    [Fact]
    public void TheNewOwnerIsLost_AndWhatItFlushedIsBehindIt()
        => RunSeeds(async (random, clock) =>
        {
            await using var behind = new MemoryBackend(Length);
            await using var world = await LeecherWorld.OpenAsync(clock, Length, ChunkSize, behind);
            byte[] model = world.Fill(world.Store);
            var program = new Program(random, clock, model);
            program.Use(world.Seeder.Backend);
            var disk = new SimulatedDisk(random.Next(), clock);
            bool isFlushed = random.Next(2) == 0;
            for (int life = 0; life < 2; life++)
            {
                var files = disk.Open();
                await using var leecher = await Leecher.OpenAsync(files, await files.OpenDataAsync("local", Length), world.Seeder, world.Target, world.Options with
                {
                    Policy = new FixedFinalize(TimeSpan.FromMilliseconds(random.Next(200))), Behind = new StoreBehind(behind, "the target"),
                });
                await world.WaitAsync(() => leecher.Accepted.IsCompleted);
                if (life == 1)
                {
                    // What no flush covered is there or not.
                    byte[] kept = await ReadAsync(leecher.Backend);
                    if (isFlushed)
                        Assert.Equal(model, kept);
                    kept.CopyTo(model, 0);
                }

                program.Use(leecher.Backend);
                await Task.Delay(TimeSpan.FromMilliseconds(random.Next(3000)), clock);
                await program.StopAsync();
                if (life == 0)
                {
                    if (isFlushed)
                        await leecher.Backend.FlushAsync();
                    continue;
                }

                // It is lost now. What was written and not flushed since may be behind it, too.
                await leecher.Backend.FlushAsync();
                byte[] found = new byte[Length];
                await behind.ReadAsync(0, found);
                Assert.Equal(model, found);
            }
        });

    [Fact]
    public void ARegionThatIsNotYetInTheStoreBehindIt_IsNotHandedOver()
        => RunSeeds(async (_, clock) =>
        {
            await using var behind = new DeafBackend(Length);
            await using var world = await LeecherWorld.OpenAsync(clock, Length, ChunkSize, behind);
            world.Fill(world.Store);
            await using var leecher = await world.LeechAsync(new FixedFinalize(TimeSpan.Zero));
            await world.WaitAsync(() => leecher.Trouble is not null);
            Assert.Contains("not in line", world.Seeder.Trouble, StringComparison.Ordinal);
            Assert.True(world.Source.IsRunning);
            Assert.False(leecher.Accepted.IsCompleted);
            behind.Listens = true;
            Assert.True(await leecher.Completed);
        }, count: 1);

    [Fact]
    public void ASeederThatIsStartedAfterItHandedOver_CarriesWhatIsFlushedOnceItHasTheRegionBack()
        => RunSeeds(async (_, clock) =>
        {
            await using var behind = new MemoryBackend(Length);
            var disk = new SimulatedDisk(1, clock);
            var options = new SeederOptions { ChunkSize = ChunkSize, Clock = clock, Behind = new StoreBehind(behind, "the source") };
            var host = new FreeHost();
            var token = Guid.NewGuid();
            await using (var seeder = await Seeder.OpenAsync(disk.Open(), new MemoryBackend(Length), host, options))
            {
                await seeder.Backend.FlushAsync();
                var session = await seeder.AskAsync(new SeederRequest(SeederCall.Track, token));
                Assert.Equal(SeederAnswer.Yours, (await seeder.AskAsync(new SeederRequest(SeederCall.Finalize, token, session.Session))).Answer);
            }

            await using var again = await Seeder.OpenAsync(disk.Open(), new MemoryBackend(Length), host, options);
            Assert.Equal(SeederAnswer.GivenUp, (await again.AskAsync(new SeederRequest(SeederCall.GiveUp, token))).Answer);
            await again.Backend.WriteAsync(0, new byte[] { 9 });
            await again.Backend.FlushAsync();
            byte[] found = new byte[1];
            await behind.ReadAsync(0, found);
            Assert.Equal(9, found[0]);
        }, count: 1);

    [Fact]
    public void TheLeaseMovesWithTheRegion()
        => RunSeeds(async (_, clock) =>
        {
            await using var store = new MemoryBackend(Length);
            var leased = new LeasableBackend(store, LeaseGate.ForOneProcess(new EpochFile(null, clock), clock, TimeSpan.FromSeconds(1)));
            await using var world = await LeecherWorld.OpenAsync(clock, Length, ChunkSize, leased);
            await using var leecher = await Leecher.OpenAsync(world.TargetFiles, world.Local, world.Seeder, world.Target, world.Options with
            {
                Policy = new FixedFinalize(TimeSpan.FromSeconds(1)), Behind = new StoreBehind(leased, "the target"),
            });
            await world.WaitAsync(() => leecher.Accepted.IsCompleted);
            await leecher.Backend.WriteAsync(0, new byte[] { 7 });
            await leecher.Backend.FlushAsync();
            byte[] found = new byte[1];
            await store.ReadAsync(0, found);
            Assert.Equal(7, found[0]);
            var refusal = await Assert.ThrowsAsync<BackendException>(() => leased.GetCapability<ILeasing>()!.AcquireAsync("somebody").AsTask());
            Assert.Contains("the target", refusal.Message, StringComparison.Ordinal);
        }, count: 1);

    [Fact]
    public void BeforeTheHandOver_NothingComesFromTheStore()
        => RunSeeds(async (_, clock) =>
        {
            await using var behind = new MemoryBackend(Length);
            await using var world = await LeecherWorld.OpenAsync(clock, Length, ChunkSize, behind);
            await using var leecher = await Leecher.OpenAsync(world.TargetFiles, world.Local, new ToldSeeder(world.Seeder) { IsSilent = true }, world.Target, world.Options with
            {
                Policy = new ManualFinalize(), Behind = new StoreBehind(behind, "the target"), LongestRead = ChunkSize, Budget = 1 << 16,
            });
            await world.WaitAsync(TimeSpan.FromSeconds(3));
            Assert.Equal("Nothing comes.", leecher.Trouble);
            Assert.Equal(0, leecher.Status.ReceivedBytes);
            Assert.Equal(Length, leecher.Status.MissingBytes);
        }, count: 1);

    [Fact]
    public void TheHostBefore_ThatAsksForTheLeaseLate_TakesNothingAway()
        => RunSeeds(async (_, clock) =>
        {
            await using var store = new MemoryBackend(Length);
            var leased = new LeasableBackend(store, LeaseGate.ForOneProcess(new EpochFile(null, clock), clock, TimeSpan.FromSeconds(1)));
            await using var world = await LeecherWorld.OpenAsync(clock, Length, ChunkSize, leased);
            await using var leecher = await Leecher.OpenAsync(world.TargetFiles, world.Local, world.Seeder, world.Target, world.Options with
            {
                Policy = new FixedFinalize(TimeSpan.FromSeconds(1)), Behind = new StoreBehind(leased, "the target"),
            });
            await world.WaitAsync(() => leecher.Accepted.IsCompleted);
            await leecher.Backend.FlushAsync();
            await leased.AcquireAsync("the source", leecher.Record.Region);
            await leecher.Backend.WriteAsync(0, new byte[] { 7 });
            await leecher.Backend.FlushAsync();
            byte[] found = new byte[1];
            await store.ReadAsync(0, found);
            Assert.Equal(7, found[0]);
        }, count: 1);

    [Fact]
    public void WhatIsOlderThanTheStoreBehindIt_IsNotTakenBackByForce()
        => RunSeeds(async (_, clock) =>
        {
            await using var behind = new MemoryBackend(Length);
            await using var world = await LeecherWorld.OpenAsync(clock, Length, ChunkSize, behind);
            Assert.Contains("seed that store anew", (await Assert.ThrowsAsync<InvalidOperationException>(() => world.Seeder.TakeBackByForceAsync().AsTask())).Message, StringComparison.Ordinal);
        }, count: 1);

    private static void RunSeeds(Func<Random, TimeProvider, Task> test, int count = 40)
        => Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(count),
            Prop.ForAll(
                ArbMap.Default.ArbFor<int>(),
                seed => VirtualTime.RunSeed(seed, TimeSpan.FromHours(1), clock => test(new Random(seed), clock))));

    private static async Task<byte[]> ReadAsync(IBackend backend)
    {
        byte[] bytes = new byte[Length];
        await backend.ReadAsync(0, bytes);
        return bytes;
    }

    /// <summary>A program that writes, and is moved on to another backend.</summary>
    private sealed class Program(Random random, TimeProvider clock, byte[] model)
    {
        private IBackend? _backend;
        private Task _writing = Task.CompletedTask;
        private bool _isOver;

        public void Use(IBackend backend)
        {
            _backend = backend;
            _isOver = false;
            _writing = WriteAsync(backend);
        }

        public async Task StopAsync()
        {
            _isOver = true;
            await _writing;
        }

        // A write that a hand-over catches waits for ever, and counts for nothing.
        private async Task WriteAsync(IBackend backend)
        {
            while (!_isOver && _backend == backend)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(random.Next(10)), clock);
                if (_isOver || _backend != backend)
                    return;
                int offset = random.Next(Length), length = random.Next(1, Math.Min(2 * ChunkSize, Length - offset) + 1);
                byte[] bytes = new byte[length];
                random.NextBytes(bytes);
                await backend.WriteAsync(offset, bytes);
                bytes.CopyTo(model.AsSpan(offset));
                if (random.Next(8) == 0)
                    await backend.FlushAsync();
            }
        }
    }

    private sealed class CountedReads(long length) : Stage(new MemoryBackend(length))
    {
        public long Reads { get; private set; }

        public override ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Reads++;
            return base.ReadAsync(offset, buffer, cancellationToken);
        }
    }
}
