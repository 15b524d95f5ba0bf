using Farspan.Backends;
using Farspan.TestKit;
using Farspan.TestKit.Time;
using Farspan.Transports;
using Farspan.Wire.Client;
using Farspan.Wire.Protocol;
using Farspan.Wire.Server;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>How long each side bears with a peer that does nothing, in virtual time.</summary>
public sealed class WirePatienceTests
{
    private const int TimeLimit = 120_000;
    private static readonly TimeSpan OneSecond = TimeSpan.FromSeconds(1);

    [Fact(Timeout = TimeLimit)]
    public async Task SilentServer_IsAskedForASignOfLife_AndLeft()
    {
        var clock = new VirtualTimeProvider();
        using var stream = new PatientStream();
        await using var client = await ConnectAsync(clock, stream);
        var read = client.ReadAsync(0, new byte[512]).AsTask();
        clock.Advance(TimeSpan.FromSeconds(29));
        await Eventually.HoldsAsync(() => Requests(stream).Count > 1);
        Assert.Equal([WireOperation.Read, WireOperation.Ping], Requests(stream).Select(static request => request.Operation));
        Assert.False(stream.IsClosed || read.IsCompleted);
        clock.Advance(2 * OneSecond);
        Assert.True(stream.IsClosed);
        Assert.Equal(BackendError.TimedOut, (await Assert.ThrowsAsync<BackendException>(() => read)).Error);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ServerThatGivesSignsOfLife_IsNotLeft_WhileARequestTakesForEver()
    {
        var clock = new VirtualTimeProvider();
        using var stream = new PatientStream();
        await using var client = await ConnectAsync(clock, stream);
        var read = client.ReadAsync(0, new byte[512]).AsTask();
        await Eventually.HoldsAsync(() => Requests(stream).Count > 0);
        for (int i = 0; i < 12; i++)
            await LiveOnAsync(clock, stream);
        await Assert.ThrowsAsync<BackendException>(() => read);
        Assert.False(stream.IsClosed);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task RequestThatWaitsForAPlace_TimesOutToo()
    {
        var clock = new VirtualTimeProvider();
        using var stream = new PatientStream();
        await using var client = await ConnectAsync(clock, stream, static options => options with { RequestsPerConnection = 1 });
        var first = client.ReadAsync(0, new byte[512]).AsTask();
        await Eventually.HoldsAsync(() => Requests(stream).Count > 0);
        await LiveOnAsync(clock, stream);
        var second = client.ReadAsync(512, new byte[512]).AsTask();
        await LiveOnAsync(clock, stream);
        await LiveOnAsync(clock, stream);
        Assert.False(first.IsCompleted || second.IsCompleted);
        await LiveOnAsync(clock, stream);
        await Assert.ThrowsAsync<BackendException>(() => first);
        Assert.False(second.IsCompleted);
        await LiveOnAsync(clock, stream);
        Assert.Equal(BackendError.TimedOut, (await Assert.ThrowsAsync<BackendException>(() => second)).Error);
        Assert.DoesNotContain(Requests(stream), static request => request.Offset == 512);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task RequestThatOutlivedAnOutage_HasItsTimeAnew()
    {
        var clock = new VirtualTimeProvider();
        using var before = new PatientStream();
        using var after = new PatientStream();
        byte[] answer = WireMessages.Answer(hasChecksums: true);
        before.Feed(answer);
        after.Feed(answer);
        int connections = 0;
        bool isAway = true;
        await using var client = await FarspanClientBackend.ConnectAsync(Options(clock) with
        {
            ConnectTimeout = TimeSpan.FromDays(1), ReconnectTimeout = TimeSpan.FromDays(1),
            Connector = () => Interlocked.Increment(ref connections) == 1 ? before
                : Volatile.Read(ref isAway) ? throw new BackendException(BackendError.Disconnected, "It is away.") : after,
        });
        var read = client.ReadAsync(0, new byte[512]).AsTask();
        before.Dispose();
        await Eventually.HoldsAsync(() => Volatile.Read(ref connections) > 1);
        clock.Advance(TimeSpan.FromMinutes(1));
        Volatile.Write(ref isAway, false);
        await Eventually.HoldsAsync(() =>
        {
            clock.Advance(5 * OneSecond);
            return Requests(after).Count > 0;
        });
        clock.Advance(OneSecond);
        after.Feed(WireMessages.Reply(WireOperation.Read, Requests(after)[0].Id, new byte[512]));
        await read;
    }

    [Fact(Timeout = TimeLimit)]
    public async Task CloseWithARequestThatTakesForEver_GivesItUp()
    {
        var clock = new VirtualTimeProvider();
        using var stream = new PatientStream();
        var client = await ConnectAsync(clock, stream, static options => options with { CloseTimeout = TimeSpan.FromSeconds(10) });
        var read = client.ReadAsync(0, new byte[512]).AsTask();
        var closing = client.DisposeAsync().AsTask();
        clock.Advance(9 * OneSecond);
        Assert.False(closing.IsCompleted || stream.IsClosed);
        clock.Advance(2 * OneSecond);
        await closing;
        await Assert.ThrowsAsync<ObjectDisposedException>(() => read);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ServerThatStops_WaitsForRequestsOnlySoLong()
    {
        var clock = new VirtualTimeProvider();
        var slow = new HeldBackend(1 << 20);
        var server = new FarspanServer([new FarspanExport { Backend = slow }], new FarspanServerOptions { Clock = clock });
        using var stream = new PatientStream();
        slow.Hold();
        var served = server.HandleAsync(stream);
        stream.Feed([.. WireMessages.Hello(), .. WireMessages.Request(WireOperation.Read, 0, 512)]);
        await slow.Entered;
        var stopping = server.DisposeAsync().AsTask();
        await Eventually.HoldsAsync(() =>
        {
            clock.Advance(TimeSpan.FromSeconds(0.5));
            return stopping.IsCompleted || clock.Now > TimeSpan.FromHours(1);
        });
        Assert.InRange(clock.Now, TimeSpan.FromSeconds(10), TimeSpan.FromMinutes(10));
        await served;
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ConnectionBeforeThatDoesNotEnd_IsNotWaitedForLongerThanAHelloMayTake()
    {
        var clock = new VirtualTimeProvider();
        var slow = new HeldBackend(1 << 20) { IsStubborn = true };
        await using var server = new FarspanServer([new FarspanExport { Backend = slow }], new FarspanServerOptions { Clock = clock });
        using var first = new PatientStream();
        using var second = new PatientStream();
        var session = Guid.NewGuid();
        slow.Hold();
        var (before, after) = (server.HandleAsync(first), server.HandleAsync(second));
        first.Feed([.. WireMessages.Hello(session: session), .. WireMessages.Write(0, [1, 2, 3])]);
        await slow.Entered;
        second.Feed(WireMessages.Hello(session: session));
        await Eventually.HoldsAsync(() => first.IsClosed);
        clock.Advance(20 * OneSecond);
        Assert.False(second.IsClosed || after.IsCompleted);
        await Eventually.HoldsAsync(() =>
        {
            clock.Advance(OneSecond);
            return after.IsCompleted;
        });
        Assert.False(before.IsCompleted);
        slow.Release();
        await before;
    }

    private static FarspanClientOptions Options(TimeProvider clock) => new()
    {
        Endpoint = StreamEndpoint.Unix("/none"), Clock = clock, Connections = 1, CloseTimeout = TimeSpan.Zero,
    };

    /// <summary>A client whose server is the stream, and not there any more once that is closed.</summary>
    private static async Task<FarspanClientBackend> ConnectAsync(
        TimeProvider clock, PatientStream stream, Func<FarspanClientOptions, FarspanClientOptions>? change = null)
    {
        stream.Feed(WireMessages.Answer(hasChecksums: true));
        var options = Options(clock) with
        {
            Connector = () => stream.IsClosed ? throw new BackendException(BackendError.Disconnected, "It is away.") : stream,
        };
        var client = await FarspanClientBackend.ConnectAsync(change is null ? options : change(options));
        await stream.WaitsToRead;
        return client;
    }

    /// <summary>Lets eight seconds pass, and answers the one question for a sign of life that comes in them.</summary>
    private static async Task LiveOnAsync(VirtualTimeProvider clock, PatientStream stream)
    {
        int before = Requests(stream).Count;
        clock.Advance(8 * OneSecond);
        await Eventually.HoldsAsync(() => Requests(stream).Count > before || stream.IsClosed);
        var ping = Assert.Single(Requests(stream).Skip(before));
        Assert.Equal(WireOperation.Ping, ping.Operation);
        stream.Feed(WireMessages.Reply(WireOperation.Ping, ping.Id, []));
        await stream.WaitsToRead;
    }

    /// <summary>The requests that a server was sent, behind the hello; none has a payload.</summary>
    private static List<WireFrame> Requests(PatientStream stream)
    {
        var requests = new List<WireFrame>();
        byte[] written = stream.Written;
        for (int at = ClientHello.Size; at + WireFrame.Size <= written.Length; at += WireFrame.Size)
        {
            Assert.True(WireFrame.TryReadRequest(written.AsSpan(at), out var request));
            requests.Add(request);
        }

        return requests;
    }
}
