using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Migration;
using Farspan.Migration.Finalizing;
using Farspan.Stages;
using Farspan.TestKit.Time;
using Farspan.Tests.Stages;
using Xunit;

namespace Farspan.Tests.Migration;

/// <summary>What a leecher must not do, each at the moment at which it could.</summary>
public sealed class LeecherPromiseTests
{
    private const int ChunkSize = 4096;
    private const int Length = (20 * ChunkSize) + 100;

    [Fact(Timeout = 120_000)]
    public Task TheProgramBegins_OnceItIsKeptThatTheRegionIsHere() => RunAsync(async world =>
    {
        RegionRecord? kept = null;
        var host = new WatchedHost(async () => kept ??= await RegionRecordFile.ReadAsync(world.TargetFiles));
        await using var leecher = await Leecher.OpenAsync(
            world.TargetFiles, world.Local, world.Seeder, host, world.Options with { Policy = new FixedFinalize(TimeSpan.Zero) });
        Assert.True(await leecher.Completed);
        Assert.Equal(RegionRole.Receiving, kept?.Role);
    });

    [Fact(Timeout = 120_000)]
    public Task AFlushThatFails_KeepsNothing_AndTheNextOneKeepsIt() => RunAsync(async world =>
    {
        byte[] bytes = world.Fill(world.Store);
        var local = new HookedBackend(Length);
        var seeder = new CountingSeeder(world.Seeder) { IsHeld = true };
        await using var leecher = await Leecher.OpenAsync(
            world.TargetFiles, local, seeder, world.Target, world.Options with { Policy = new FixedFinalize(TimeSpan.Zero) });
        await world.WaitAsync(() => leecher.Accepted.IsCompleted);
        bytes.AsSpan(3 * ChunkSize, ChunkSize).Fill(1);
        await leecher.Backend.WriteAsync(3 * ChunkSize, bytes.AsMemory(3 * ChunkSize, ChunkSize));
        local.Flushing = static () => throw new BackendException(BackendError.InputOutput, "The disk fails.");
        await Assert.ThrowsAsync<BackendException>(() => leecher.Backend.FlushAsync().AsTask());
        Assert.Empty(await LoggedAsync(world, leecher));

        local.Flushing = null;
        await leecher.Backend.FlushAsync();
        Assert.Equal([new ChangedRun(3, 1)], await LoggedAsync(world, leecher));
        seeder.Release();
        Assert.True(await leecher.Completed);
        Assert.DoesNotContain(HereLog.Name, await world.TargetFiles.ListAsync());
        Assert.Equal(bytes, await ReadAsync(leecher.Backend));
    });

    [Theory(Timeout = 120_000)]
    [InlineData(100, ChunkSize - 100)]
    [InlineData(0, 100)]
    [InlineData(100, (2 * ChunkSize) - 100)]
    [InlineData(0, (2 * ChunkSize) + 1)]
    public Task AWriteToAPartOfAMissingChunk_WaitsForTheRest(int offset, int length) => RunAsync(async world =>
    {
        byte[] bytes = world.Fill(world.Store);
        var seeder = new CountingSeeder(world.Seeder) { IsHeld = true };
        await using var leecher = await Leecher.OpenAsync(
            world.TargetFiles, world.Local, seeder, world.Target, world.Options with { Policy = new FixedFinalize(TimeSpan.Zero) });
        await world.WaitAsync(() => leecher.Accepted.IsCompleted);
        bytes.AsSpan(offset, length).Fill(1);
        var write = leecher.Backend.WriteAsync(offset, bytes.AsMemory(offset, length)).AsTask();
        await world.WaitAsync(TimeSpan.FromSeconds(1));
        Assert.False(write.IsCompleted);
        seeder.Release();
        await write;
        Assert.Equal(bytes, await ReadAsync(leecher.Backend));
    });

    [Fact(Timeout = 120_000)]
    public Task WhatTheSeederDoesNotTell_IsNotVerified() => RunAsync(async world =>
    {
        byte[] bytes = world.Fill(world.Store);
        bool tells = false;
        var seeder = new ToldSeeder(world.Seeder) { TellsDigests = () => tells };
        await using var leecher = await Leecher.OpenAsync(
            world.TargetFiles, world.Local, seeder, world.Target, world.Options with { Policy = new FixedFinalize(TimeSpan.Zero) });
        await world.WaitAsync(() => leecher.Trouble?.Contains("not verified", StringComparison.Ordinal) == true);
        Assert.Equal((RegionRole.Receiving, RegionRole.HandedOver), (leecher.Record.Role, world.Seeder.Record.Role));
        tells = true;
        Assert.True(await leecher.Completed);
        Assert.Equal(bytes, await ReadAsync(leecher.Backend));
    });

    [Fact(Timeout = 120_000)]
    public Task AHandOverWhoseAnswerIsLost_IsAskedForAgain_WhateverThePolicySays() => RunAsync(async world =>
    {
        world.Fill(world.Store);
        int lost = 0;
        var seeder = new ToldSeeder(world.Seeder)
        {
            Answered = (request, _) =>
            {
                if (request.Call == SeederCall.Finalize && lost++ == 0)
                    throw new BackendException(BackendError.Disconnected, "The line is gone.", isTransient: true);
            },
        };
        await using var leecher = await Leecher.OpenAsync(
            world.TargetFiles, world.Local, seeder, world.Target, world.Options with { Policy = new OncePolicy() });
        await world.WaitAsync(TimeSpan.FromMinutes(5));
        Assert.True(leecher.Accepted.IsCompletedSuccessfully);
    });

    [Fact(Timeout = 120_000)]
    public Task AStoreThatDoesNotKeepItsBytes_KeepsTheSeeder() => RunAsync(async world =>
    {
        world.Fill(world.Store);
        var local = new ForgetfulBackend();
        await using var leecher = await Leecher.OpenAsync(
            world.TargetFiles, local, world.Seeder, world.Target, world.Options with { Policy = new FixedFinalize(TimeSpan.FromSeconds(1)) });
        await world.WaitAsync(() => leecher.Trouble?.Contains("holds other bytes", StringComparison.Ordinal) == true);
        Assert.Equal((RegionRole.Receiving, RegionRole.HandedOver), (leecher.Record.Role, world.Seeder.Record.Role));
    });

    [Fact(Timeout = 120_000)]
    public Task BytesThatAreBeingWrittenHere_WhenAListNamesThem_AreOld() => RunAsync(async world =>
    {
        byte[] bytes = world.Fill(world.Store);
        var local = new HookedBackend(Length) { IsHeld = true };
        await using var leecher = await Leecher.OpenAsync(
            world.TargetFiles, local, world.Seeder, world.Target, world.Options with { Policy = new RoundsPolicy(), Verify = false });
        await world.WaitAsync(() => local.HeldWrites > 0);
        bytes[5] ^= 1;
        await world.Seeder.Backend.WriteAsync(5, bytes.AsMemory(5, 1));
        int rounds = leecher.Status.Rounds;
        await world.WaitAsync(() => leecher.Status.Rounds > rounds + 1);
        local.Free();
        await world.WaitAsync(() => leecher.Status.MissingBytes == 0);
        leecher.RequestFinalize();
        Assert.True(await leecher.Completed);
        Assert.Equal(bytes, await ReadAsync(leecher.Backend));
    });

    [Fact(Timeout = 120_000)]
    public Task ARegionIsSeeded_OnceCallsOfItsProgramHaveEnded() => RunAsync(async world =>
    {
        var local = new HookedBackend(Length);
        await using var region = await MovedRegion.OpenAsync(
            world.TargetFiles, local, world.Seeder, world.Target, world.Options with { Policy = new FixedFinalize(TimeSpan.Zero) });
        Assert.True(await region.Leecher.Completed);
        local.IsHeld = true;
        var write = region.Backend.WriteAsync(5, new byte[] { 7 }).AsTask();
        var seeding = region.SeedAsync(world.Target).AsTask();
        await world.WaitAsync(TimeSpan.FromSeconds(1));
        Assert.Equal((false, false), (write.IsCompleted, seeding.IsCompleted));
        local.Free();
        await write;
        await seeding;
        await region.Backend.WriteAsync(6, new byte[] { 8 });
        Assert.Equal([7, 8], (await ReadAsync(region.Backend)).AsSpan(5, 2).ToArray());
    });

    private static async Task<IReadOnlyList<ChangedRun>> LoggedAsync(LeecherWorld world, Leecher leecher)
    {
        await using var log = new HereLog(world.TargetFiles, new ChunkLayout(Length, ChunkSize));
        return await log.ReadAsync(leecher.Record.Token);
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

    /// <summary>Takes rounds, and never wants the hand-over.</summary>
    private sealed class RoundsPolicy : IFinalizePolicy
    {
        public FinalizeStep Next(in PreCopyProgress progress) => FinalizeStep.Round(TimeSpan.FromMilliseconds(50));
    }

    /// <summary>Wants the hand-over once, and then no more.</summary>
    private sealed class OncePolicy : IFinalizePolicy
    {
        private bool _wasAsked;

        public FinalizeStep Next(in PreCopyProgress progress)
        {
            if (_wasAsked)
                return FinalizeStep.Watch(FinalizeStep.LongestDelay);
            _wasAsked = true;
            return FinalizeStep.Finalize;
        }
    }

    /// <summary>Tells all bytes but one.</summary>
    private sealed class ForgetfulBackend() : Stage(new MemoryBackend(LeecherPromiseTests.Length))
    {
        private const int Forgotten = (7 * ChunkSize) + 5;

        public override async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await base.ReadAsync(offset, buffer, cancellationToken);
            if (Forgotten >= offset && Forgotten < offset + buffer.Length)
                buffer.Span[(int)(Forgotten - offset)] ^= 1;
        }
    }
}
