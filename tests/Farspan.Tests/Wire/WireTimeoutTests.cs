using Farspan.Backends;
using Farspan.TestKit.Time;
using Farspan.Transports;
using Farspan.Wire.Client;
using Farspan.Wire.Protocol;
using Farspan.Wire.Server;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>Every time-out of both sides, in virtual time: before it nothing happens, after it the connection or the request ends.</summary>
public sealed class WireTimeoutTests
{
    private const int TimeLimit = 60_000;
    private static readonly TimeSpan OneSecond = TimeSpan.FromSeconds(1);

    [Fact(Timeout = TimeLimit)]
    public Task HelloThatDoesNotEnd_IsNotWaitedFor()
        => ServerEndsAsync("hello", TimeSpan.FromSeconds(30), static stream => stream.Feed(WireMessages.Hello().AsSpan(0, 20)), waitsToWrite: false);

    [Fact(Timeout = TimeLimit)]
    public Task RequestThatDoesNotEnd_IsNotWaitedFor()
        => ServerEndsAsync(
            "rest", TimeSpan.FromSeconds(60), static stream => stream.Feed([.. WireMessages.Hello(), .. WireMessages.Write(0, [1, 2, 3])[..50]]), waitsToWrite: false);

    [Fact(Timeout = TimeLimit)]
    public Task LongPayloadThatDoesNotEnd_IsNotWaitedFor()
        => ServerEndsAsync(
            "rest", TimeSpan.FromSeconds(60), static stream => stream.Feed([.. WireMessages.Hello(), .. WireMessages.Write(0, new byte[100_000])[..90_000]]), waitsToWrite: false);

    [Fact(Timeout = TimeLimit)]
    public Task ClientThatIsIdle_IsClosed_WhereAsked()
        => ServerEndsAsync("idle", TimeSpan.FromMinutes(10), static stream => stream.Feed(WireMessages.Hello()), waitsToWrite: false);

    [Fact(Timeout = TimeLimit)]
    public Task ClientThatTakesNothing_IsNotWaitedFor()
        => ServerEndsAsync(
            "take", TimeSpan.FromSeconds(60),
            static stream =>
            {
                stream.Feed(WireMessages.Hello());
                stream.WaitsToRead.Wait();
                stream.TakesNothing = true;
                stream.Feed(WireMessages.Request(WireOperation.Ping));
            },
            waitsToWrite: true);

    [Fact(Timeout = TimeLimit)]
    public async Task RefusedConnections_AreOneLineInTheLogNowAndThen_HoweverManyTheyAre()
    {
        var clock = new VirtualTimeProvider();
        var lines = new List<string>();
        await using var backend = new MemoryBackend(1 << 20);
        var server = new FarspanServer([new FarspanExport { Backend = backend }], new FarspanServerOptions { Clock = clock, MaximumConnections = 1, Log = lines.Add });
        using var first = new PatientStream();
        var served = server.HandleAsync(first);
        for (int i = 0; i < 500; i++)
            Refuse();
        clock.Advance(TimeSpan.FromSeconds(20));
        Assert.Equal(["connections were refused, 500 of them lately: 1 are the limit"], lines);
        Refuse();
        await server.DisposeAsync();
        await served;
        Assert.Contains("connections were refused, 1 of them lately: 1 are the limit", lines);

        void Refuse() => Assert.Throws<InvalidOperationException>(() => { _ = server.HandleAsync(new PatientStream()); });
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ClientThatIsIdle_StaysUnlessAsked_AndWhileItsRequestRuns()
    {
        var clock = new VirtualTimeProvider();
        var slow = new HeldBackend(1 << 20);
        await using var server = new FarspanServer([new FarspanExport { Backend = slow }], new FarspanServerOptions { Clock = clock, IdleTimeout = OneSecond });
        await using var patient = new FarspanServer([new FarspanExport { Backend = slow }], new FarspanServerOptions { Clock = clock });
        using var busy = new PatientStream();
        using var idle = new PatientStream();
        slow.Hold();
        var (one, other) = (server.HandleAsync(busy), patient.HandleAsync(idle));
        busy.Feed([.. WireMessages.Hello(), .. WireMessages.Request(WireOperation.Read, 0, 512)]);
        idle.Feed(WireMessages.Hello());
        await slow.Entered;
        await busy.WaitsToRead;
        await idle.WaitsToRead;
        clock.Advance(TimeSpan.FromHours(1));
        Assert.False(busy.IsClosed || idle.IsClosed);
        slow.Release();
        busy.Feed(WireMessages.Goodbye());
        idle.Feed(WireMessages.Goodbye());
        await Task.WhenAll(one, other);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ServerThatDoesNotAnswerTheHello_IsGivenUp()
    {
        var clock = new VirtualTimeProvider();
        using var stream = new PatientStream();
        var connecting = FarspanClientBackend.ConnectAsync(Options(clock) with { Connector = () => stream }).AsTask();
        await stream.WaitsToRead;
        clock.Advance(TimeSpan.FromSeconds(30) - OneSecond);
        Assert.False(stream.IsClosed);
        clock.Advance(OneSecond);
        var error = await Assert.ThrowsAsync<BackendException>(() => connecting);
        Assert.Equal(BackendError.TimedOut, error.Error);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task RequestThatTakesTooLong_IsGivenUp_AndTheConnectionStays()
    {
        var clock = new VirtualTimeProvider();
        var slow = new HeldBackend(1 << 20);
        await using var host = new WireHost(slow);
        await using var client = await FarspanClientBackend.ConnectAsync(host.Options with { Clock = clock });
        slow.Hold();
        var read = client.ReadAsync(0, new byte[512]).AsTask();
        await slow.Entered;
        clock.Advance(TimeSpan.FromSeconds(30) - OneSecond);
        Assert.False(read.IsCompleted);
        clock.Advance(2 * OneSecond);
        var error = await Assert.ThrowsAsync<BackendException>(() => read);
        Assert.Equal(BackendError.TimedOut, error.Error);
        slow.Release();
        await client.WriteAsync(0, new byte[] { 1 });
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ServerThatStaysAway_IsWaitedForAsLongAsTold()
    {
        var clock = new VirtualTimeProvider();
        await using var host = new WireHost(new MemoryBackend(1 << 20));
        var line = new BreakableConnector(host.Options.Endpoint);
        var again = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        bool isAway = false;
        await using var client = await FarspanClientBackend.ConnectAsync(host.Options with
        {
            Clock = clock,
            Connector = () =>
            {
                if (!Volatile.Read(ref isAway))
                    return line.Connect();
                again.TrySetResult();
                throw new BackendException(BackendError.Disconnected, "It is away.");
            },
        });
        Volatile.Write(ref isAway, true);
        line.Break();
        await again.Task;
        var read = client.ReadAsync(0, new byte[512]).AsTask();
        clock.Advance(TimeSpan.FromSeconds(30) - OneSecond);
        Assert.False(read.IsCompleted);
        clock.Advance(2 * OneSecond);
        var error = await Assert.ThrowsAsync<BackendException>(() => read);
        Assert.Equal(BackendError.Disconnected, error.Error);
    }

    private static FarspanClientOptions Options(TimeProvider clock) => new() { Endpoint = StreamEndpoint.Unix("/none"), Clock = clock };

    private static async Task ServerEndsAsync(string reason, TimeSpan limit, Action<PatientStream> client, bool waitsToWrite)
    {
        var clock = new VirtualTimeProvider();
        var reasons = new List<string>();
        await using var backend = new MemoryBackend(1 << 20);
        await using var server = new FarspanServer(
            [new FarspanExport { Backend = backend }],
            new FarspanServerOptions { Clock = clock, IdleTimeout = TimeSpan.FromMinutes(10), Log = reasons.Add });
        using var stream = new PatientStream();
        var served = server.HandleAsync(stream);
        client(stream);
        await (waitsToWrite ? stream.WaitsToWrite.Task : stream.WaitsToRead);
        clock.Advance(limit - OneSecond);
        Assert.False(stream.IsClosed);

        // The server looks every five seconds.
        clock.Advance(6 * OneSecond);
        Assert.True(stream.IsClosed);
        await served;
        Assert.Contains(reason, Assert.Single(reasons), StringComparison.Ordinal);
        Assert.Equal((0, 0L), (server.OutstandingBuffers, server.BytesInFlight));
    }
}
