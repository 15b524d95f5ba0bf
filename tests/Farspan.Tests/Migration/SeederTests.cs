using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Migration;
using Farspan.TestKit.Simulation;
using Farspan.TestKit.Time;
using Farspan.Tests.Stages;
using Xunit;

namespace Farspan.Tests.Migration;

public sealed class SeederTests
{
    private static readonly Guid Token = new(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
    private static readonly Guid OtherToken = new(2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);

    [Fact(Timeout = 120_000)]
    public Task AHandOver_ListsWhatChangedSinceTheRoundThatArrived_AndTheProgramWaits() => RunAsync(async world =>
    {
        var seeder = await world.OpenAsync();
        var session = await world.TrackAsync(seeder);
        await seeder.Backend.WriteAsync(0, new byte[1]);
        var round = session with { Call = SeederCall.Round, Round = 1 };
        Assert.Equal(SeederAnswer.Round, (await seeder.AskAsync(round)).Answer);
        Assert.Equal([new ChangedRun(0, 1)], (await seeder.ListAsync(round, 0, 10))!.Runs);
        await seeder.Backend.WriteAsync(4096, new byte[8192]);

        var arrived = session with { Call = SeederCall.Finalize, Round = 1 };
        var yours = await seeder.AskAsync(arrived);
        Assert.Equal((SeederAnswer.Yours, 2L, true), (yours.Answer, yours.Epoch, yours.IsExact));
        Assert.Equal([new ChangedRun(1, 2)], (await seeder.ListAsync(arrived, 0, 10))!.Runs);
        Assert.Equal([new ChangedRun(0, 3)], (await seeder.ListAsync(arrived with { Round = 0 }, 0, 10))!.Runs);
        Assert.Equal(yours, await seeder.AskAsync(arrived));
        Assert.False(world.Host.IsRunning);
        Assert.False(seeder.Backend.WriteAsync(0, new byte[1]).IsCompleted);
        Assert.False(seeder.Backend.ReadAsync(0, new byte[1]).IsCompleted);
        Assert.True(await seeder.ReadAsync(arrived, 0, new byte[4096]));
        Assert.Equal(new RegionRecord(RegionRole.HandedOver, yours.Region, 2, Token), await RegionRecordFile.ReadAsync(world.Disk.Open()));
        Assert.Equal(SeederAnswer.Released, (await seeder.AskAsync(arrived with { Call = SeederCall.Close })).Answer);
        Assert.False(await seeder.ReadAsync(arrived, 0, new byte[1]));
    });

    [Fact(Timeout = 120_000)]
    public Task ASuspensionThatFails_LeavesTheProgramAndTheSession() => RunAsync(async world =>
    {
        var seeder = await world.OpenAsync();
        var session = await world.TrackAsync(seeder);
        await seeder.Backend.WriteAsync(0, new byte[1]);
        world.Host.Failure = new InvalidOperationException("It is in the middle of something.");
        var finalize = session with { Call = SeederCall.Finalize };
        Assert.Equal(SeederAnswer.Busy, (await seeder.AskAsync(finalize)).Answer);
        Assert.Contains("in the middle of something", seeder.Trouble, StringComparison.Ordinal);
        Assert.True(world.Host.IsRunning);
        await seeder.Backend.WriteAsync(8192, new byte[1]);

        Assert.True((await seeder.AskAsync(finalize)).IsExact);
        Assert.Null(seeder.Trouble);
        Assert.Equal([new ChangedRun(0, 1), new ChangedRun(2, 1)], (await seeder.ListAsync(finalize, 0, 10))!.Runs);
    });

    [Fact(Timeout = 120_000)]
    public Task ARecordThatCannotBeKept_LetsTheProgramGoOnOnlyUnderANewerOne() => RunAsync(async world =>
    {
        var seeder = await world.OpenAsync();
        var session = await world.TrackAsync(seeder);
        (world.Disk.SectorLimit, world.Disk.FailSyncOf) = (0, RegionRecordFile.Name);
        var finalize = seeder.AskAsync(session with { Call = SeederCall.Finalize }).AsTask();
        await Task.Delay(TimeSpan.FromMinutes(5), world.Clock);
        Assert.False(finalize.IsCompleted);
        Assert.False(world.Host.IsRunning);
        world.Disk.SectorLimit = long.MaxValue;
        Assert.Equal(SeederAnswer.Busy, (await finalize).Answer);
        Assert.True(world.Host.IsRunning);
        Assert.Equal((RegionRole.Owner, 3L), (seeder.Record.Role, seeder.Record.Epoch));
        await seeder.Backend.WriteAsync(0, new byte[1]);
    });

    [Fact(Timeout = 120_000)]
    public Task ARestartAfterTheHandOver_ServesIt_AndListsNothing() => RunAsync(async world =>
    {
        var first = await world.OpenAsync();
        var session = await world.TrackAsync(first);
        await first.Backend.WriteAsync(0, new byte[] { 7 });
        await first.AskAsync(session with { Call = SeederCall.Finalize });
        await first.DisposeAsync();

        var seeder = await world.OpenAsync();
        Assert.False(seeder.Backend.WriteAsync(0, new byte[1]).IsCompleted);
        var again = session with { Call = SeederCall.Finalize };
        var yours = await seeder.AskAsync(again);
        Assert.Equal((SeederAnswer.Yours, 2L, false), (yours.Answer, yours.Epoch, yours.IsExact));
        Assert.Null(await seeder.ListAsync(again, 0, 10));
        byte[] read = new byte[1];
        Assert.True(await seeder.ReadAsync(again, 0, read));
        Assert.Equal(7, read[0]);
        Assert.Equal(SeederAnswer.GivenUp, (await seeder.AskAsync(again with { Call = SeederCall.GiveUp })).Answer);
        Assert.Equal((RegionRole.Owner, 3L), (seeder.Record.Role, seeder.Record.Epoch));
        Assert.Equal(1, world.Host.Resumptions);
        await seeder.Backend.WriteAsync(0, new byte[1]);
    });

    [Fact(Timeout = 120_000)]
    public Task AnotherLeecher_WaitsUntilTheFirstIsSilent() => RunAsync(async world =>
    {
        var seeder = await world.OpenAsync();
        var session = await world.TrackAsync(seeder);
        Assert.Equal(SeederAnswer.Busy, (await seeder.AskAsync(new SeederRequest(SeederCall.Track, OtherToken))).Answer);
        await Task.Delay(TimeSpan.FromMinutes(2), world.Clock);
        Assert.Equal(SeederAnswer.Tracking, (await seeder.AskAsync(new SeederRequest(SeederCall.Track, OtherToken))).Answer);
        Assert.Equal(SeederAnswer.Refused, (await seeder.AskAsync(session with { Call = SeederCall.Finalize })).Answer);
        Assert.True(world.Host.IsRunning);
    });

    [Fact(Timeout = 120_000)]
    public Task WhatIsTakenBackByForce_IsANewRegion_AndServesTheOldOneNoMore() => RunAsync(async world =>
    {
        var seeder = await world.OpenAsync();
        var session = await world.TrackAsync(seeder);
        Assert.False(await seeder.TakeBackByForceAsync());
        var yours = await seeder.AskAsync(session with { Call = SeederCall.Finalize });
        Assert.True(await seeder.TakeBackByForceAsync());
        Assert.NotEqual(yours.Region, seeder.Record.Region);
        Assert.Equal(RegionRole.Owner, seeder.Record.Role);
        Assert.True(world.Host.IsRunning);
        Assert.False(await seeder.ReadAsync(session, 0, new byte[1]));
        await seeder.Backend.WriteAsync(0, new byte[1]);
    });

    [Fact(Timeout = 120_000)]
    public Task ARead_DuringWhichTheRegionIsTakenBackByForce_IsRefused() => RunAsync(async world =>
    {
        var store = new HookedBackend(1 << 16);
        var seeder = await Seeder.OpenAsync(world.Disk.Open(), store, world.Host, new SeederOptions { ChunkSize = 4096, Clock = world.Clock });
        var session = await world.TrackAsync(seeder);
        Assert.Equal(SeederAnswer.Yours, (await seeder.AskAsync(session with { Call = SeederCall.Finalize })).Answer);
        Assert.True(await seeder.ReadAsync(session, 0, new byte[1]));
        store.Reading = async () => Assert.True(await seeder.TakeBackByForceAsync());
        Assert.False(await seeder.ReadAsync(session, 0, new byte[1]));
    });

    [Fact(Timeout = 120_000)]
    public Task Pages_TellAllOfBothLists_OnceEach()
    {
        for (int seed = 0; seed < 500; seed++)
        {
            var random = new Random(seed);
            var first = new ChunkBitmap(200);
            var second = new ChunkBitmap(200);
            for (int i = random.Next(40); i > 0; i--)
            {
                var bitmap = random.Next(2) == 0 ? first : second;
                long start = random.Next(190);
                bitmap.Set(start, random.Next(1, 10));
            }

            var told = new List<long>();
            int limit = random.Next(1, 5);
            for (long next = 0; next >= 0;)
            {
                var page = ChangedPage.Of(first, second, next, limit);
                Assert.True(page.Runs.Count <= limit);
                foreach (var run in page.Runs)
                {
                    for (long chunk = run.FirstChunk; chunk < run.FirstChunk + run.Count; chunk++)
                        told.Add(chunk);
                }

                next = page.NextChunk;
            }

            Assert.Equal(first.SetChunks().Union(second.SetChunks()).Order(), told);
        }

        return Task.CompletedTask;
    }

    private static Task RunAsync(Func<World, Task> test)
    {
        VirtualTime.Run(clock => test(new World(clock)));
        return Task.CompletedTask;
    }

    private sealed class World(TimeProvider clock)
    {
        public TimeProvider Clock => clock;

        public SimulatedDisk Disk { get; } = new(1, clock) { IsSlow = false };

        public ScriptedHost Host { get; } = new();

        public async Task<Seeder> OpenAsync()
        {
            var files = Disk.Open();
            var store = await files.OpenDataAsync("data", 1 << 16);
            return await Seeder.OpenAsync(files, store, Host, new SeederOptions { ChunkSize = 4096, Clock = clock });
        }

        public async Task<SeederRequest> TrackAsync(Seeder seeder)
        {
            var reply = await seeder.AskAsync(new SeederRequest(SeederCall.Track, Token));
            Assert.Equal(SeederAnswer.Tracking, reply.Answer);
            return new SeederRequest(SeederCall.Read, Token, reply.Session);
        }
    }
}
