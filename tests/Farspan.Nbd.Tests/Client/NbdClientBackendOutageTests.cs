using System.Net.Sockets;
using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.Nbd.Protocol;
using Farspan.TestKit.Contracts;
using Farspan.TestKit.Time;
using Xunit;

namespace Farspan.Nbd.Tests.Client;

/// <summary>What the background of a client does while a server is away, dies again and again, refuses, or does not answer at all.</summary>
public sealed class NbdClientBackendOutageTests
{
    private const int TimeLimit = 120_000;
    private const int Size = 256 << 10;

    private static readonly byte[] Data = BackendModel.Bytes(1, 1000);

    private readonly VirtualTimeProvider _clock = new();
    private readonly VolatileStore _store = new(Size);

    /// <summary>Connections that die as soon as they are agreed are made again with growing pauses, not in a loop.</summary>
    [Fact(Timeout = TimeLimit)]
    public async Task ConnectionsThatDieAtOnce_AreMadeAgainWithGrowingPauses()
    {
        const int Attempts = 6;
        await using var server = new ScriptedServer(async (connection, number) =>
        {
            await connection.NegotiateAsync(new ServerScript());
            if (number > Attempts)
                await _store.ServeAsync(connection, new ServerScript());
        });
        await using var backend = await NbdClientBackend.ConnectAsync(Patient(server) with { MaximumReconnectDelay = TimeSpan.FromSeconds(1) });
        _ = backend.ReadAsync(0, new byte[10]).AsTask();
        while (server.Accepted <= Attempts)
        {
            _clock.Advance(TimeSpan.FromMilliseconds(1));
            await Task.Delay(1);
        }

        Assert.True(_clock.Now >= TimeSpan.FromMilliseconds(20 + 40 + 80 + 160 + 320), $"{_clock.Now}");
    }

    [Fact(Timeout = TimeLimit)]
    public async Task UnexpectedFailureInTheBackground_FailsEveryCall_AndCloseWorks()
    {
        int opened = 0;
        await using var server = new ScriptedServer((connection, _) => _store.ServeAsync(connection, new ServerScript()));
        var backend = await NbdClientBackend.ConnectAsync(Patient(server) with
        {
            Connector = () => opened++ == 0 ? Connect(server) : throw new InvalidOperationException("out of order"),
        });
        await backend.WriteAsync(0, Data);
        server.CutAll();
        for (int i = 0; i < 2; i++)
        {
            var error = await Assert.ThrowsAsync<BackendException>(async () => await backend.ReadAsync(0, new byte[10]));
            Assert.False(error.IsTransient);
            Assert.Contains("out of order", error.Message, StringComparison.Ordinal);
            Assert.Equal(error.Message, (await Assert.ThrowsAsync<BackendException>(async () => await backend.FlushAsync())).Message);
        }

        await backend.DisposeAsync();
    }

    /// <summary>As a resolver does that waits for its name servers: nothing can end it.</summary>
    [Fact(Timeout = TimeLimit)]
    public async Task Close_DoesNotWaitForConnecting_ThoughThatCannotBeEnded()
    {
        using var resolves = new SemaphoreSlim(0);
        using var resolved = new ManualResetEventSlim();
        int opened = 0;
        await using var server = new ScriptedServer((connection, _) => _store.ServeAsync(connection, new ServerScript()));
        var options = Patient(server) with
        {
            Connector = () =>
            {
                if (opened++ > 0)
                {
                    resolves.Release();
                    resolved.Wait();
                }

                return Connect(server);
            },
        };
        var backend = await NbdClientBackend.ConnectAsync(options);
        server.CutAll();
        await resolves.WaitAsync();
        await backend.DisposeAsync();
        using var cancel = new CancellationTokenSource();
        var connecting = NbdClientBackend.ConnectAsync(options, cancel.Token);
        await resolves.WaitAsync();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connecting);
        var asking = NbdClient.InspectAsync(options);
        await resolves.WaitAsync();
        _clock.Advance(options.ConnectTimeout);
        Assert.Equal(BackendError.TimedOut, (await Assert.ThrowsAsync<BackendException>(() => asking)).Error);
        resolved.Set();
        while (server.Accepted < 4)
            await Task.Delay(1);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Close_DoesNotWaitForWhatIsWrittenAgain()
    {
        await using var server = Manual(n => n == 0 ? null : static _ => true);
        var backend = await NbdClientBackend.ConnectAsync(Patient(server));
        await backend.WriteAsync(0, Data);
        (await server.ConnectionAsync(0)).Cut();
        await (await server.ConnectionAsync(1)).NextAsync();
        await backend.DisposeAsync();
    }

    /// <summary>The flush that the client makes for room is not answered.</summary>
    [Fact(Timeout = TimeLimit)]
    public async Task Close_DoesNotWaitLongerThanItsTimeForAFlushOfItsOwn()
    {
        await using var server = Manual(_ => static r => r.Command == NbdCommand.Flush, size: 8 << 20);
        var backend = await NbdClientBackend.ConnectAsync(Patient(server) with { UnflushedBudget = 4 << 20, MaximumRequestLength = 256 << 10, CloseTimeout = TimeSpan.FromMilliseconds(200) });
        await backend.WriteAsync(0, new byte[3 << 20]);
        await (await server.ConnectionAsync(0)).NextAsync();
        var closing = backend.DisposeAsync().AsTask();
        _clock.Advance(TimeSpan.FromMilliseconds(200));
        await closing;
    }

    [Theory(Timeout = TimeLimit)]
    [InlineData(1)]
    [InlineData(3)]
    public async Task FewPlaces_AreEnoughToWriteAgain(int places)
    {
        await using var server = Manual(_ => null);
        await using var backend = await NbdClientBackend.ConnectAsync(Patient(server) with { RequestsPerConnection = places });
        await Task.WhenAll(Enumerable.Range(0, 40).Select(i => backend.WriteAsync(i * 2000, Data).AsTask()));
        _store.Crash();
        (await server.ConnectionAsync(0)).Cut();
        await backend.FlushAsync();
        for (int i = 0; i < 40; i++)
            Assert.Equal(Data, _store.Durable.AsSpan(i * 2000, Data.Length).ToArray());
    }

    [Fact(Timeout = TimeLimit)]
    public async Task WriteThatIsRefusedForAWhile_IsWrittenAgainInTheEnd()
    {
        await using var server = Manual(n => n == 0 ? null : static r => r.Offset == 2000 && r.Command == NbdCommand.Write);
        await using var backend = await WriteAndCrashAsync(server, Patient(server));
        var second = await server.ConnectionAsync(1);
        var flush = backend.FlushAsync().AsTask();
        var passing = PassAsync(flush);
        for (int i = 0; i < 3; i++)
            await second.AnswerAsync(await second.NextAsync(), NbdErrno.NoSpc);
        await second.AnswerAsync(await second.NextAsync());
        await flush;
        await passing;
        Assert.Equal(Data, _store.Durable.AsSpan(2000, Data.Length).ToArray());
        Assert.Equal(2, server.Accepted);
    }

    /// <summary>One bad place must not take the rest away, nor be read as if nothing had been written there.</summary>
    [Theory(Timeout = TimeLimit)]
    [InlineData(BackendError.NoSpace)]
    [InlineData(BackendError.InputOutput)]
    public async Task WriteThatIsRefusedForGood_CountsAsLost_UntilItIsWrittenAnew(BackendError refusal)
    {
        bool isBad = true;
        await using var server = Manual(n => n == 0 ? null : r => Volatile.Read(ref isBad) && r.Offset == 2000 && r.Command == NbdCommand.Write);
        await using var backend = await WriteAndCrashAsync(server, Patient(server) with { ReconnectTimeout = TimeSpan.FromSeconds(1) });
        var second = await server.ConnectionAsync(1);
        var refusing = RefuseAsync(second, refusal == BackendError.NoSpace ? NbdErrno.NoSpc : NbdErrno.Io);
        var waiting = Record.ExceptionAsync(async () => await backend.ReadAsync(0, new byte[10]));
        await PassAsync(waiting);
        Assert.Contains("cannot be written again", Assert.IsType<BackendException>(await waiting).Message, StringComparison.Ordinal);
        byte[] buffer = new byte[Data.Length];
        await ReadWhenBackAsync(backend, buffer);
        Assert.Equal(Data, buffer);
        for (int i = 0; i < 2; i++)
        {
            var error = await Assert.ThrowsAsync<BackendException>(async () => await backend.FlushAsync());
            Assert.False(error.IsTransient);
            Assert.Equal(refusal, error.Error);
            Assert.Contains("bytes 2000 to 2999", error.Message, StringComparison.Ordinal);
        }

        await Assert.ThrowsAsync<BackendException>(async () => await backend.ReadAsync(2999, new byte[1]));
        await backend.ReadAsync(1000, new byte[1000]);
        Volatile.Write(ref isBad, false);
        await backend.WriteAsync(2000, Data.AsMemory(0, 400));
        await Assert.ThrowsAsync<BackendException>(async () => await backend.FlushAsync());
        await backend.WriteAsync(2400, Data.AsMemory(400));
        await backend.ReadAsync(2000, buffer);
        Assert.Equal(Data, buffer);
        await backend.FlushAsync();
        Assert.Equal(Data, _store.Durable.AsSpan(2000, Data.Length).ToArray());
        Assert.Equal(2, server.Accepted);
        second.Cut();
        await refusing;
    }

    /// <summary>A server that never answers one write is connected to again, and the write given up like a refused one.</summary>
    [Fact(Timeout = TimeLimit)]
    public async Task WriteThatIsNeverAnswered_CountsAsLost()
    {
        await using var server = Manual(n => n == 0 ? null : static r => r.Offset == 2000 && r.Command == NbdCommand.Write);
        await using var backend = await WriteAndCrashAsync(
            server, Patient(server) with { ReconnectTimeout = TimeSpan.FromSeconds(1), RequestTimeout = TimeSpan.FromSeconds(1) });
        await ReadWhenBackAsync(backend, new byte[10]);
        await Assert.ThrowsAsync<BackendException>(async () => await backend.FlushAsync());
    }

    /// <summary>A part of a long call that is refused at once must not end the call while another part fills the caller's buffer.</summary>
    [Theory(Timeout = TimeLimit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task CloseInTheMiddleOfALongCall_WaitsForThePartsThatWereSent(bool reads)
    {
        const int Part = 4096;
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var server = new ScriptedServer(async (connection, _) =>
        {
            await connection.NegotiateAsync(new ServerScript { Size = Size });
            var (request, payload) = await connection.ReadRequestAsync();
            asked.SetResult();
            await goOn.Task;
            await connection.AnswerAsync(request, payload.Length > 0 ? default : BackendModel.Bytes(1, Part));
            await connection.StallAsync();
        });
        NbdClientBackend? backend = null;
        Task? closing = null;
        backend = await NbdClientBackend.ConnectAsync(Patient(server) with
        {
            MaximumRequestLength = Part,
            UnflushedBudget = 0,
            CloseTimeout = TimeSpan.FromMilliseconds(200),
            Connector = () => new NbdTransport(new WriteHookStream(Open(server), () => closing ??= backend?.DisposeAsync().AsTask()), sendRoom: 1 << 20),
        });
        byte[] buffer = new byte[4 * Part];
        var call = reads ? backend.ReadAsync(0, buffer).AsTask() : backend.WriteAsync(0, buffer).AsTask();
        Assert.NotNull(closing);
        await asked.Task;
        Assert.False(call.IsCompleted);
        goOn.SetResult();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => call);
        if (reads)
            Assert.Equal(BackendModel.Bytes(1, Part), buffer[..Part]);
        _clock.Advance(TimeSpan.FromSeconds(1));
        await closing;
    }

    private static async Task RefuseAsync(ManualConnection connection, NbdErrno refusal)
    {
        while (await connection.TryNextAsync() is { } request)
            await connection.AnswerAsync(request, refusal);
    }

    private static NetworkStream Open(ScriptedServer server)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(server.Options.Endpoint.Path!));
        return new NetworkStream(socket, ownsSocket: true);
    }

    private static NbdTransport Connect(ScriptedServer server) => new(Open(server), sendRoom: 1 << 20);

    private NbdClientOptions Patient(ScriptedServer server) => Patient(server.Options);

    private NbdClientOptions Patient(ManualServer server) => Patient(server.Options);

    private NbdClientOptions Patient(NbdClientOptions options) => options with
    {
        Clock = _clock,
        CloseTimeout = TimeSpan.Zero,
        ReconnectTimeout = TimeSpan.FromHours(1),
        MaximumReconnectDelay = TimeSpan.FromMilliseconds(100),
    };

    private ManualServer Manual(Func<int, Func<RequestHeader, bool>?> hold, int size = Size)
    {
        var store = size == Size ? _store : new VolatileStore(size);
        return new ManualServer(_ => new ServerScript { Size = (ulong)size }, _ => store, hold);
    }

    /// <summary>Leaves three acknowledged writes, at 0, 2000 and 4000, to be written again over the next connection.</summary>
    private async Task<NbdClientBackend> WriteAndCrashAsync(ManualServer server, NbdClientOptions options)
    {
        var backend = await NbdClientBackend.ConnectAsync(options);
        for (int i = 0; i < 3; i++)
            await backend.WriteAsync(i * 2000, Data);
        _store.Crash();
        (await server.ConnectionAsync(0)).Cut();
        return backend;
    }

    private async Task ReadWhenBackAsync(NbdClientBackend backend, byte[] buffer)
    {
        while (true)
        {
            var read = Record.ExceptionAsync(async () => await backend.ReadAsync(0, buffer));
            await PassAsync(Task.WhenAll(read, Task.Delay(1)));
            if (await read is null)
                return;
        }
    }

    /// <summary>Lets time pass until something is done.</summary>
    private async Task PassAsync(Task done)
    {
        while (!done.IsCompleted)
        {
            _clock.Advance(TimeSpan.FromMilliseconds(2));
            await Task.Delay(1);
        }
    }
}
