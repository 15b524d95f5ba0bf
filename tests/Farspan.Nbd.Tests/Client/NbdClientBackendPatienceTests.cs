using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.Nbd.Protocol;
using Farspan.TestKit.Contracts;
using Farspan.TestKit.Time;
using Xunit;

namespace Farspan.Nbd.Tests.Client;

/// <summary>
/// Callers who give up have their buffers back at once, and a connection is given up only when it is silent. On a clock that stands still,
/// so that nothing here happens because time passed.
/// </summary>
public sealed class NbdClientBackendPatienceTests
{
    private const int TimeLimit = 120_000;

    private readonly VirtualTimeProvider _clock = new();

    /// <summary>Both writes leave in one batch, whose end the server does not take; the first is complete all the same.</summary>
    [Theory(Timeout = TimeLimit)]
    [InlineData(0L)]
    [InlineData(64L << 20)]
    public async Task AnsweredWrite_CompletesWhileALaterOneIsBeingSent(long budget)
    {
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var seen = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        byte[] large = BackendModel.Bytes(1, 2 << 20);
        await using var server = new ScriptedServer(async (connection, _) =>
        {
            await connection.NegotiateAsync(new ServerScript { Size = 16 << 20 });
            await goOn.Task;
            for (int i = 0; i < 2; i++)
                await connection.AnswerAsync((await connection.ReadRequestAsync()).Header);
            var header = await ReadHeaderAsync(connection);
            await seen.Task;
            await connection.ReceiveAsync(large.Length);
            await connection.AnswerAsync(header);
            await connection.StallAsync();
        });
        await using var backend = await NbdClientBackend.ConnectAsync(server.Options with { Clock = _clock, CloseTimeout = TimeSpan.Zero, UnflushedBudget = budget });
        var first = backend.WriteAsync(0, large).AsTask();
        var second = backend.WriteAsync(4 << 20, new byte[1000]).AsTask();
        var third = backend.WriteAsync(8 << 20, large).AsTask();
        goOn.SetResult();
        await first;
        await second;
        Assert.False(third.IsCompleted);
        seen.SetResult();
        await third;
        Assert.Equal(1, server.Accepted);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task CancelledRead_EndsAtOnceInTheMiddleOfItsAnswer_AndTheConnectionGoesOn()
    {
        var half = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        byte[] data = BackendModel.Bytes(2, 1 << 20);
        await using var server = new ScriptedServer(async (connection, _) =>
        {
            await connection.NegotiateAsync(new ServerScript());
            var (request, _) = await connection.ReadRequestAsync();
            byte[] answer = ServerBytes.Simple(request.Cookie, data: data);
            await connection.SendAsync(answer.AsMemory(0, answer.Length / 2));
            half.SetResult();
            await goOn.Task;
            await connection.SendAsync(answer.AsMemory(answer.Length / 2));
            await connection.AnswerAsync((await connection.ReadRequestAsync()).Header, data.AsMemory(0, 10));
            await connection.StallAsync();
        });
        await using var backend = await NbdClientBackend.ConnectAsync(server.Options with { Clock = _clock, CloseTimeout = TimeSpan.Zero });
        using var cancel = new CancellationTokenSource();
        byte[] buffer = new byte[data.Length];
        var read = backend.ReadAsync(0, buffer, cancel.Token).AsTask();
        await half.Task;
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => read);
        buffer.AsSpan().Fill(0xDD);
        goOn.SetResult();
        byte[] small = new byte[10];
        await backend.ReadAsync(0, small);
        Assert.Equal(data[..10], small);
        Assert.False(buffer.AsSpan().ContainsAnyExcept((byte)0xDD), "A cancelled read wrote to its buffer.");
        Assert.Equal(1, server.Accepted);
    }

    [Theory(Timeout = TimeLimit)]
    [InlineData(0L)]
    [InlineData(64L << 20)]
    public async Task CancelledWrite_EndsAtOnceWhileItIsSent_AndItsOwnBytesAreSentToTheEnd(long budget)
    {
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        byte[]? received = null;
        await using var server = new ScriptedServer(async (connection, _) =>
        {
            await connection.NegotiateAsync(new ServerScript { Size = 16 << 20 });
            var header = await ReadHeaderAsync(connection);
            started.SetResult();
            await goOn.Task;
            received = await connection.ReceiveAsync((int)header.Length);
            await connection.AnswerAsync(header);
            await connection.AnswerAsync((await connection.ReadRequestAsync()).Header, new byte[10]);
            await connection.StallAsync();
        });
        await using var backend = await NbdClientBackend.ConnectAsync(server.Options with { Clock = _clock, CloseTimeout = TimeSpan.Zero, UnflushedBudget = budget });
        using var cancel = new CancellationTokenSource();
        byte[] data = BackendModel.Bytes(3, 2 << 20);
        byte[] buffer = (byte[])data.Clone();
        var write = backend.WriteAsync(0, buffer, cancel.Token).AsTask();
        await started.Task;
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => write);
        buffer.AsSpan().Fill(0xDD);
        goOn.SetResult();
        await backend.ReadAsync(0, new byte[10]);
        Assert.Equal(data, received);
        Assert.Equal(1, server.Accepted);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ManyCancelledCalls_LeaveALivingConnectionAlone()
    {
        await using var server = new ManualServer(_ => new ServerScript(), _ => new VolatileStore(1 << 20), _ => static r => r.Command == NbdCommand.Read);
        await using var backend = await NbdClientBackend.ConnectAsync(server.Options with { Clock = _clock, CloseTimeout = TimeSpan.Zero, RequestsPerConnection = 4 });
        var connection = await server.ConnectionAsync(0);
        using var cancel = new CancellationTokenSource();
        var cancelled = Enumerable.Range(0, 3).Select(i => Record.ExceptionAsync(async () => await backend.ReadAsync(i, new byte[10], cancel.Token))).ToArray();
        var kept = backend.ReadAsync(100, new byte[10]).AsTask();
        var requests = await connection.NextAsync(4);
        await cancel.CancelAsync();
        await Task.WhenAll(cancelled);
        _clock.Advance(TimeSpan.FromSeconds(10));
        foreach (var request in requests)
            await connection.AnswerAsync(request);
        await kept;
        Assert.Equal(1, server.Accepted);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task SilentConnection_IsGivenUp_ThoughNobodyWaitsAnyMore()
    {
        await using var server = new ManualServer(_ => new ServerScript(), _ => new VolatileStore(1 << 20), _ => static r => r.Command == NbdCommand.Read);
        await using var backend = await NbdClientBackend.ConnectAsync(
            server.Options with { Clock = _clock, CloseTimeout = TimeSpan.Zero, RequestsPerConnection = 1, ReconnectTimeout = TimeSpan.FromHours(1) });
        var connection = await server.ConnectionAsync(0);
        using var cancel = new CancellationTokenSource();
        var cancelled = Record.ExceptionAsync(async () => await backend.ReadAsync(0, new byte[10], cancel.Token));
        await connection.NextAsync();
        await cancel.CancelAsync();
        await cancelled;
        _clock.Advance(TimeSpan.FromSeconds(15));
        var read = backend.ReadAsync(0, new byte[10]).AsTask();
        _clock.Advance(TimeSpan.FromSeconds(10));
        var second = await server.ConnectionAsync(1);
        await second.AnswerAsync(await second.NextAsync());
        await read;
    }

    private static async Task<RequestHeader> ReadHeaderAsync(ScriptedConnection connection)
    {
        Assert.True(RequestHeader.TryRead(await connection.ReceiveAsync(RequestHeader.CompactSize), extended: false, out var header));
        return header;
    }
}
