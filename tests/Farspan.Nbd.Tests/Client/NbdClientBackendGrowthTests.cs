using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.Nbd.Protocol;
using Farspan.TestKit;
using Farspan.TestKit.Contracts;
using Farspan.TestKit.Time;
using Xunit;

namespace Farspan.Nbd.Tests.Client;

/// <summary>Several connections: when they are opened, and what a flush claims over them though they may lead to different servers.</summary>
public sealed class NbdClientBackendGrowthTests
{
    private const int TimeLimit = 60_000;
    private const int Size = 256 << 10;
    private const int Load = 40;
    private const int Each = 1000;

    private static readonly ServerScript Multi = new() { Size = Size, Flags = ServerScript.AllFlags | NbdTransmissionFlags.CanMultiConn };
    private static readonly ServerScript Single = new() { Size = Size };

    private readonly VirtualTimeProvider _clock = new();
    private readonly VolatileStore _old = new(Size);
    private readonly VolatileStore _new = new(Size);

    /// <summary>
    /// The old server is gone without a word, and another one took its place. A connection to that must not be used, and a flush over it must
    /// not pass for one of what the old server had.
    /// </summary>
    [Fact(Timeout = TimeLimit)]
    public async Task NewServerBesideASilentOne_IsNotUsedBeforeTheOldOneIsGivenUp()
    {
        await using var server = new ManualServer(_ => Multi, n => n == 0 ? _old : _new, _ => null);
        await using var backend = await NbdClientBackend.ConnectAsync(Patient(server, requests: 64));
        var first = await server.ConnectionAsync(0);
        byte[] data = BackendModel.Bytes(1, Each);
        await backend.WriteAsync(0, data);
        first.Hold(_ => true);
        var reads = ReadAll(backend);
        await server.ConnectionAsync(1);
        while ((await first.NextAsync()).Header is not { Command: NbdCommand.Read, Length: 1 })
        {
        }

        _clock.Advance(TimeSpan.FromSeconds(5));
        var flush = backend.FlushAsync().AsTask();
        _clock.Advance(TimeSpan.FromSeconds(16));
        await flush;
        await Task.WhenAll(reads);
        Assert.Equal(data, _new.Durable[..Each]);
        Assert.Equal(3, server.Accepted);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Flush_CoversEveryConnectionThatAcknowledgedWrites()
    {
        await using var server = TwoServers();
        await using var backend = await NbdClientBackend.ConnectAsync(Patient(server, requests: 64));
        var (_, _, count) = await WriteOverTwoAsync(server, backend);
        await backend.FlushAsync();
        Assert.Equal((1, 1), (_old.Flushes, _new.Flushes));
        for (int i = 0; i < count; i++)
            Assert.Contains([_old, _new], s => s.Durable.AsSpan(i * Each, Each).SequenceEqual(BackendModel.Bytes(i, Each)));
        await backend.FlushAsync();
        Assert.Equal(3, _old.Flushes + _new.Flushes);
    }

    /// <summary>One of two servers goes silent before the flush: what it had acknowledged is written to the other one before the flush is done.</summary>
    [Fact(Timeout = TimeLimit)]
    public async Task FlushThatOneOfTwoServersAnswers_IsNotDone()
    {
        await using var server = TwoServers();
        await using var backend = await NbdClientBackend.ConnectAsync(Patient(server, requests: 64));
        var (first, _, count) = await WriteOverTwoAsync(server, backend);
        first.Hold(_ => true);
        var read = Record.ExceptionAsync(async () => await backend.ReadAsync(0, new byte[Each]));
        await first.NextAsync();
        _clock.Advance(TimeSpan.FromSeconds(5));
        var flush = backend.FlushAsync().AsTask();
        Assert.Equal(NbdCommand.Flush, (await first.NextAsync()).Header.Command);
        _clock.Advance(TimeSpan.FromSeconds(16));
        await flush;
        await read;
        AssertAllDurable(_new, count);
    }

    /// <summary>What a connection answers after another one was lost says nothing of what that one had acknowledged.</summary>
    [Fact(Timeout = TimeLimit)]
    public async Task FlushThatIsAnsweredDuringAnOutage_IsDoneAgainAfterIt()
    {
        await using var server = TwoServers();
        await using var backend = await NbdClientBackend.ConnectAsync(Patient(server, requests: 64));
        var (first, second, count) = await WriteOverTwoAsync(server, backend);
        first.Hold(_ => true);
        second.Hold(_ => true);
        var writes = Enumerable.Range(count, 2).Select(i => backend.WriteAsync(i * Each, BackendModel.Bytes(i, Each)).AsTask()).ToArray();
        var flush = backend.FlushAsync().AsTask();
        var held = await second.NextAsync(2);
        first.Cut();
        await second.AnswerAsync(held[1]);
        await second.AnswerAsync(held[0]);
        await second.ReleaseAsync();
        await flush;
        await Task.WhenAll(writes);
        AssertAllDurable(_new, count + 2);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task WriteUnderWayOnALivingConnection_EndsBeforeAnotherIsOpened()
    {
        await using var server = new ManualServer(_ => Multi, _ => _new, n => n < 2 ? IsWrite : null);
        await using var backend = await NbdClientBackend.ConnectAsync(Patient(server, requests: 64));
        var (first, second, _) = await WriteOverTwoAsync(server, backend);
        first.Hold(_ => true);
        second.Hold(IsWrite);
        var writes = Enumerable.Range(0, 2).Select(i => backend.WriteAsync(i * Each, BackendModel.Bytes(99, Each)).AsTask()).ToArray();
        var held = await second.NextAsync();
        first.Cut();
        _clock.Advance(TimeSpan.FromSeconds(15));
        Assert.Equal(2, server.Accepted);
        await second.AnswerAsync(held);
        await second.ReleaseAsync();
        await Task.WhenAll(writes);
        await backend.FlushAsync();
        Assert.Equal(BackendModel.Bytes(99, Each), _new.Durable[..Each]);
    }

    /// <summary>Where nothing is kept, a write that is acknowledged on its way out is as lost as one before.</summary>
    [Fact(Timeout = TimeLimit)]
    public async Task WithoutBudget_WriteAcknowledgedAfterALoss_FailsTheNextFlush()
    {
        await using var server = TwoServers();
        await using var backend = await NbdClientBackend.ConnectAsync(Patient(server, requests: 64) with { UnflushedBudget = 0 });
        var (first, second, _) = await WriteOverTwoAsync(server, backend);
        await backend.FlushAsync();
        first.Hold(_ => true);
        second.Hold(IsWrite);
        var read = backend.ReadAsync(0, new byte[Each]).AsTask();
        await first.NextAsync();
        var write = backend.WriteAsync(0, BackendModel.Bytes(99, Each)).AsTask();
        var held = await second.NextAsync();
        first.Cut();
        await second.AnswerAsync(held);
        await write;
        await read;
        var error = await Assert.ThrowsAsync<BackendException>(async () => await backend.FlushAsync());
        Assert.False(error.IsTransient);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task NewConnectionWithoutTheFlag_IsNotUsed()
    {
        await using var server = new ManualServer(n => n == 0 ? Multi : Single, _ => _new, _ => static _ => true);
        await using var backend = await NbdClientBackend.ConnectAsync(Patient(server, requests: 64));
        var first = await server.ConnectionAsync(0);
        var reads = ReadAll(backend);
        var second = await server.ConnectionAsync(1);
        Assert.Equal(NbdCommand.Disconnect, (await second.NextAsync()).Header.Command);
        second.Cut();
        await first.ReleaseAsync();
        Assert.All(await Task.WhenAll(reads), Assert.Null);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ServerThatCameBackWithoutTheFlag_GetsOneConnection()
    {
        await using var server = new ManualServer(n => n == 0 ? Multi : Single, _ => _new, n => n == 1 ? static _ => true : null);
        await using var backend = await NbdClientBackend.ConnectAsync(Patient(server, requests: 64));
        Assert.NotNull(backend.GetCapability<IConcurrentWriters>());
        (await server.ConnectionAsync(0)).Cut();

        // Not before: load on the first connection, whose loss is not noticed yet, would ask for one beside it.
        var second = await server.ConnectionAsync(1);
        var reads = ReadAll(backend);
        var taken = await second.NextAsync(Load);
        Assert.Null(backend.GetCapability<IConcurrentWriters>());
        reads = [.. reads, .. ReadAll(backend)];
        await second.ReleaseAsync(taken);
        Assert.All(await Task.WhenAll(reads), Assert.Null);
        Assert.Equal(2, server.Accepted);
    }

    /// <summary>A failed attempt at a second connection, then an outage: the load asks again after that.</summary>
    [Fact(Timeout = TimeLimit)]
    public async Task Growth_GoesOnAfterAnOutage()
    {
        await using var server = new ManualServer(n => n == 1 ? null : Multi, _ => _new, n => n is 0 or 2 ? static r => r.Length == Each : null);
        await using var backend = await NbdClientBackend.ConnectAsync(Patient(server, requests: 128));
        var first = await server.ConnectionAsync(0);
        var reads = ReadAll(backend);
        while (server.Accepted < 2)
            await Task.Delay(1);
        first.Cut();
        var third = await server.ConnectionAsync(2);
        var taken = await third.NextAsync(Load);
        reads = [.. reads, .. ReadAll(backend)];
        await server.ConnectionAsync(3);
        await third.ReleaseAsync(taken);
        Assert.All(await Task.WhenAll(reads), Assert.Null);
    }

    private static bool IsWrite(RequestHeader request) => request.Command == NbdCommand.Write;

    private static Task<Exception?>[] ReadAll(NbdClientBackend backend)
        => [.. Enumerable.Range(0, Load).Select(i => Record.ExceptionAsync(async () => await backend.ReadAsync(i * Each, new byte[Each])))];

    /// <summary>Makes writes until two connections are in use and each has acknowledged some; returns how many, each of its own bytes.</summary>
    private static async Task<(ManualConnection First, ManualConnection Second, int Count)> WriteOverTwoAsync(ManualServer server, NbdClientBackend backend)
    {
        var first = await server.ConnectionAsync(0);
        var writes = new List<Task>();
        void Write()
        {
            writes.Add(backend.WriteAsync(writes.Count * Each, BackendModel.Bytes(writes.Count, Each)).AsTask());
        }

        while (writes.Count < Load)
            Write();
        await Eventually.HoldsAsync(() => backend.ConnectionsInUse == 2);

        // Wherever the others went, this one goes where fewer are.
        Write();
        var second = await server.ConnectionAsync(1);
        var onSecond = await second.NextAsync();
        await first.ReleaseAsync();
        await second.ReleaseAsync(onSecond);
        await Task.WhenAll(writes);
        return (first, second, writes.Count);
    }

    private static void AssertAllDurable(VolatileStore store, int count)
    {
        for (int i = 0; i < count; i++)
            Assert.Equal(BackendModel.Bytes(i, Each), store.Durable.AsSpan(i * Each, Each).ToArray());
    }

    private ManualServer TwoServers() => new(_ => Multi, n => n == 0 ? _old : _new, n => n < 2 ? IsWrite : null);

    private NbdClientOptions Patient(ManualServer server, int requests) => server.Options with
    {
        Clock = _clock,
        CloseTimeout = TimeSpan.Zero,
        MaximumConnections = 2,
        RequestsPerConnection = requests,
        ReconnectTimeout = TimeSpan.FromHours(1),
    };
}
