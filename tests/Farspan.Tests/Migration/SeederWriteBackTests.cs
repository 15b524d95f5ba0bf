using Farspan.Migration;
using Farspan.TestKit.Simulation;
using Farspan.TestKit.Time;
using Xunit;

namespace Farspan.Tests.Migration;

/// <summary>A seeder whose program writes into mapped memory, which a kernel keeps until it is written back.</summary>
public sealed class SeederWriteBackTests
{
    private const int ChunkSize = 4096;
    private static readonly Guid Token = new(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);

    [Fact(Timeout = 120_000)]
    public Task Rounds_TellOfWhatWasWritten_AndNothingIsLeftForTheSuspension() => RunAsync(async world =>
    {
        var (seeder, host) = (world.Seeder, world.Host);
        host.Write(0);
        var session = await world.TrackAsync();
        host.Write(3 * ChunkSize);
        Assert.Equal([new ChangedRun(3, 1)], await world.RoundAsync(session, 1));

        // Asked for again it is the same round.
        host.Write(5 * ChunkSize);
        Assert.Equal([new ChangedRun(3, 1)], await world.RoundAsync(session, 1));
        Assert.Equal([new ChangedRun(5, 1)], await world.RoundAsync(session, 2));

        host.Write(7 * ChunkSize);
        var finalize = session with { Call = SeederCall.Finalize, Round = 2 };
        Assert.Equal(SeederAnswer.Yours, (await seeder.AskAsync(finalize)).Answer);
        Assert.Equal([new ChangedRun(7, 1)], (await seeder.ListAsync(finalize, 0, 10))!.Runs);
        Assert.Equal((0, false), (host.LeftForSuspension, host.IsRunning));
    });

    [Fact(Timeout = 120_000)]
    public Task WhatIsWrittenMeanwhile_IsWrittenBackInShorterPasses_AndTheRestInTheSuspension() => RunAsync(async world =>
    {
        var (seeder, host) = (world.Seeder, world.Host);
        var session = await world.TrackAsync();
        int passes = host.WriteBacks;
        var lengths = new Queue<int>([400, 200, 100, 90, 80]);
        host.Meanwhile = () => host.Write(ChunkSize * lengths.Count);
        host.Obstacle = Task.Delay(TimeSpan.FromMilliseconds(lengths.Dequeue()), world.Clock);
        host.Meanwhile += () => host.Obstacle = Task.Delay(TimeSpan.FromMilliseconds(lengths.Dequeue()), world.Clock);
        Assert.Equal(SeederAnswer.Yours, (await seeder.AskAsync(session with { Call = SeederCall.Finalize })).Answer);

        // The fourth was not much shorter than the third.
        Assert.Equal((4, 1), (host.WriteBacks - passes, host.LeftForSuspension));
    });

    [Fact(Timeout = 120_000)]
    public Task WritingBackThatFailsOrHangs_KeepsNothingFromGoingOn_AndIsTold() => RunAsync(async world =>
    {
        var (seeder, host) = (world.Seeder, world.Host);
        host.Failure = new InvalidOperationException("The disk is slow.");
        var session = await world.TrackAsync();
        Assert.Contains("The disk is slow", seeder.Trouble, StringComparison.Ordinal);

        host.Obstacle = new TaskCompletionSource().Task;
        long from = world.Clock.GetTimestamp();
        host.Write(2 * ChunkSize);
        Assert.Empty(await world.RoundAsync(session, 1));
        var finalize = session with { Call = SeederCall.Finalize, Round = 1 };
        Assert.Equal(SeederAnswer.Yours, (await seeder.AskAsync(finalize)).Answer);
        Assert.Equal(TimeSpan.FromSeconds(10), world.Clock.GetElapsedTime(from));
        Assert.Equal([new ChangedRun(2, 1)], (await seeder.ListAsync(finalize, 0, 10))!.Runs);
        Assert.Equal(1, host.LeftForSuspension);
    });

    [Fact(Timeout = 120_000)]
    public Task TroubleThatIsOver_IsToldNoMore() => RunAsync(async world =>
    {
        world.Host.Failure = new InvalidOperationException("The disk is slow.");
        var session = await world.TrackAsync();
        Assert.NotNull(world.Seeder.Trouble);
        await world.RoundAsync(session, 1);
        Assert.Null(world.Seeder.Trouble);
    });

    [Fact(Timeout = 120_000)]
    public Task OneCallAtATime_AlsoOfARoundAndAHandOver_ThatAreAskedForAtOnce() => RunAsync(async world =>
    {
        var (seeder, host) = (world.Seeder, world.Host);
        var session = await world.TrackAsync();
        var obstacle = new TaskCompletionSource();
        host.Obstacle = obstacle.Task;
        var round = seeder.AskAsync(session with { Call = SeederCall.Round, Round = 1 }).AsTask();
        var again = seeder.AskAsync(session with { Call = SeederCall.Round, Round = 1 }).AsTask();
        var finalize = seeder.AskAsync(session with { Call = SeederCall.Finalize }).AsTask();
        await Task.Delay(TimeSpan.FromSeconds(1), world.Clock);
        Assert.Equal((2, true), (host.WriteBacks, host.IsRunning));
        obstacle.SetResult();
        Assert.Equal(SeederAnswer.Yours, (await finalize).Answer);
        Assert.Equal(SeederAnswer.Refused, (await round).Answer);
        Assert.Equal(SeederAnswer.Refused, (await again).Answer);
        Assert.False(host.HasOverlapped);
    });

    [Fact(Timeout = 120_000)]
    public Task ASeederThatIsClosed_EndsWhatIsBeingWrittenBack() => RunAsync(async world =>
    {
        var session = await world.TrackAsync();
        world.Host.Obstacle = new TaskCompletionSource().Task;
        var round = world.Seeder.AskAsync(session with { Call = SeederCall.Round, Round = 1 }).AsTask();
        long from = world.Clock.GetTimestamp();
        await world.Seeder.DisposeAsync();
        Assert.Equal(TimeSpan.Zero, world.Clock.GetElapsedTime(from));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => round);
    });

    private static Task RunAsync(Func<World, Task> test)
    {
        VirtualTime.Run(async clock => await test(await World.OpenAsync(clock)));
        return Task.CompletedTask;
    }

    private sealed class World(TimeProvider clock, Seeder seeder, MappingHost host)
    {
        public TimeProvider Clock => clock;

        public Seeder Seeder => seeder;

        public MappingHost Host => host;

        public static async Task<World> OpenAsync(TimeProvider clock)
        {
            var files = new SimulatedDisk(1, clock) { IsSlow = false }.Open();
            var host = new MappingHost();
            var store = await files.OpenDataAsync("data", 1 << 16);
            var seeder = await Seeder.OpenAsync(files, store, host, new SeederOptions { ChunkSize = ChunkSize, Clock = clock });
            host.Backend = seeder.Backend;
            return new World(clock, seeder, host);
        }

        public async Task<SeederRequest> TrackAsync()
        {
            var reply = await seeder.AskAsync(new SeederRequest(SeederCall.Track, Token));
            Assert.Equal(SeederAnswer.Tracking, reply.Answer);
            return new SeederRequest(SeederCall.Read, Token, reply.Session);
        }

        public async Task<IReadOnlyList<ChangedRun>> RoundAsync(SeederRequest session, int round)
        {
            var request = session with { Call = SeederCall.Round, Round = round };
            Assert.Equal(SeederAnswer.Round, (await seeder.AskAsync(request)).Answer);
            return (await seeder.ListAsync(request, 0, 10))!.Runs;
        }
    }
}
