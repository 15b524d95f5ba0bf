using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.Nbd.Protocol;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Nbd.Tests.Client;

/// <summary>What callers see when a server fails in transmission. Without reconnecting, so that each failure shows.</summary>
public sealed class NbdClientBackendFailureTests
{
    private const int TimeLimit = 120_000;

    private static readonly byte[] Data = BackendModel.Bytes(1, 1000);

    /// <summary>The answers to a read of 1000 bytes at 4096, in every form.</summary>
    private static readonly (ServerScript Script, Func<ulong, byte[]> Answer)[] Answers =
    [
        (new(), cookie => ServerBytes.Simple(cookie, data: Data)),
        (new() { IsStructured = true }, cookie =>
        [
            .. ServerBytes.DataChunk(cookie, 4096, Data.AsSpan(0, 500), isDone: false), .. ServerBytes.DataChunk(cookie, 4596, Data.AsSpan(500)),
        ]),
        (new() { IsExtended = true }, cookie =>
        [
            .. ServerBytes.HoleChunk(cookie, 4096, 900, isDone: false, 4096), .. ServerBytes.DataChunk(cookie, 4996, Data.AsSpan(900), extendedOffset: 4096),
        ]),
    ];

    [Fact(Timeout = TimeLimit)]
    public async Task ConnectionThatEndsAtAnyByteOfAnAnswer_FailsTheRead()
    {
        foreach (var (script, answer) in Answers)
        {
            int length = answer(0).Length;
            await using var server = new ScriptedServer(async (connection, number) =>
            {
                await connection.NegotiateAsync(script);
                var (request, _) = await connection.ReadRequestAsync();
                await connection.SendAsync(answer(request.Cookie).AsMemory(0, Math.Min(length - 1, number)));
            });
            var probes = Enumerable.Range(0, Math.Min(length, 200)).Select(_ => ReadOnceAsync(server.Options));
            foreach (var error in await Task.WhenAll(probes))
                Assert.Equal(BackendError.Disconnected, Assert.IsType<BackendException>(error).Error);
        }
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ServerThatStallsAtAnyByteOfAnAnswer_TimesOut_AndNeverTouchesTheBufferLater()
    {
        foreach (var (script, answer) in Answers)
        {
            int length = answer(0).Length;
            var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await using var server = new ScriptedServer(async (connection, number) =>
            {
                await connection.NegotiateAsync(script);
                var (request, _) = await connection.ReadRequestAsync();
                int cut = Math.Min(length - 1, number * 11);
                await connection.SendAsync(answer(request.Cookie).AsMemory(0, cut));
                await goOn.Task;
                await connection.SendAsync(answer(request.Cookie).AsMemory(cut));
                await connection.StallAsync();
            });
            var options = server.Options with { RequestTimeout = TimeSpan.FromMilliseconds(300) };
            var backends = await Task.WhenAll(Enumerable.Range(0, (length / 11) + 1).Select(_ => NbdClientBackend.ConnectAsync(options)));
            var buffers = backends.Select(_ => Enumerable.Repeat((byte)0xEE, Data.Length).ToArray()).ToArray();
            var errors = await Task.WhenAll(backends.Zip(buffers, (b, buffer) => Record.ExceptionAsync(async () => await b.ReadAsync(4096, buffer))));
            foreach (var error in errors)
                Assert.True(Assert.IsType<BackendException>(error).IsTransient, $"{error}");
            foreach (byte[] buffer in buffers)
                buffer.AsSpan().Fill(0xDD);
            goOn.SetResult();
            foreach (var backend in backends)
                await backend.DisposeAsync();
            foreach (byte[] buffer in buffers)
                Assert.False(buffer.AsSpan().ContainsAnyExcept((byte)0xDD), "A late answer reached the buffer.");
        }
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ServerThatStallsInNegotiation_TimesOut_AtAnyByte()
    {
        byte[] whole = [.. ClientHandshakeTests.Decent.SelectMany(m => m)];
        await using var server = new ScriptedServer(async (connection, number) =>
        {
            await connection.SendAsync(whole.AsMemory(0, Math.Min(whole.Length - 1, number * 3)));
            await connection.StallAsync();
        });
        var options = server.Options with { ConnectTimeout = TimeSpan.FromMilliseconds(300) };
        var errors = await Task.WhenAll(
            Enumerable.Range(0, whole.Length / 3).Select(_ => Record.ExceptionAsync(() => NbdClientBackend.ConnectAsync(options))));
        foreach (var error in errors)
            Assert.Equal(BackendError.TimedOut, Assert.IsType<BackendException>(error).Error);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task CancelledConnect_EndsAtOnce()
    {
        await using var server = new ScriptedServer((connection, _) => connection.StallAsync());
        using var cancel = new CancellationTokenSource();
        var connecting = NbdClientBackend.ConnectAsync(server.Options, cancel.Token);
        while (server.Accepted == 0)
            await Task.Delay(1);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => connecting);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ErrorsOfTheServer_AreErrors_AndTheConnectionGoesOn()
    {
        foreach (var script in new ServerScript[] { new(), new() { IsStructured = true }, new() { IsExtended = true } })
        {
            var errors = new[] { NbdErrno.Perm, NbdErrno.Io, NbdErrno.NoMem, NbdErrno.Inval, NbdErrno.NoSpc, NbdErrno.Overflow, NbdErrno.NotSup, (NbdErrno)4711 };
            var expected = new[]
            {
                BackendError.AccessDenied, BackendError.InputOutput, BackendError.NoMemory, BackendError.Invalid, BackendError.NoSpace, BackendError.Invalid,
                BackendError.NotSupported, BackendError.InputOutput,
            };
            await using var server = new ScriptedServer(async (connection, _) =>
            {
                await connection.NegotiateAsync(script);
                foreach (var error in errors)
                {
                    for (int i = 0; i < 2; i++)
                    {
                        var (request, _) = await connection.ReadRequestAsync();
                        await connection.AnswerAsync(request, error: error);
                    }
                }

                var (last, _) = await connection.ReadRequestAsync();
                await connection.AnswerAsync(last, Data);
                await connection.StallAsync();
            });
            await using var backend = await NbdClientBackend.ConnectAsync(server.Options);
            byte[] buffer = new byte[Data.Length];
            foreach (var error in expected)
            {
                // CVE-2022-0485: a copier that took a failed read for zeroes.
                Assert.Equal(error, (await Assert.ThrowsAsync<BackendException>(async () => await backend.ReadAsync(0, buffer))).Error);
                Assert.Equal(error, (await Assert.ThrowsAsync<BackendException>(async () => await backend.WriteAsync(0, Data))).Error);
            }

            await backend.ReadAsync(0, buffer);
            Assert.Equal(Data, buffer);
        }
    }

    [Fact(Timeout = TimeLimit)]
    public async Task LyingServer_FailsAllThatIsUnderWay_AndOnlyThat()
    {
        await using var server = new ScriptedServer(async (connection, number) =>
        {
            await connection.NegotiateAsync(new ServerScript());
            if (number == 0)
            {
                for (int i = 0; i < 3; i++)
                    await connection.ReadRequestAsync();
                await connection.SendAsync(ServerBytes.Simple(0xBAD));
                await connection.StallAsync();
            }

            while (true)
            {
                var (request, _) = await connection.ReadRequestAsync();
                await connection.AnswerAsync(request, Data);
            }
        });
        await using var backend = await NbdClientBackend.ConnectAsync(server.Options with { ReconnectTimeout = TimeSpan.FromSeconds(20) });
        byte[] buffer = new byte[Data.Length];
        var calls = Enumerable.Range(0, 3).Select(_ => Record.ExceptionAsync(async () => await backend.ReadAsync(0, new byte[Data.Length]))).ToArray();
        foreach (var error in await Task.WhenAll(calls))
            Assert.Equal(BackendError.Protocol, Assert.IsType<BackendException>(error).Error);
        await backend.ReadAsync(0, buffer);
        Assert.Equal(Data, buffer);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task AnswerBeforeTheRequest_IsAProtocolError()
    {
        await using var server = new ScriptedServer(async (connection, _) =>
        {
            await connection.NegotiateAsync(new ServerScript());
            await connection.SendAsync(ServerBytes.Simple(1 << 10));
            await connection.StallAsync();
        });
        // Where the request gets there first, the answer counts as its own, and the rest of it never comes.
        await using var backend = await NbdClientBackend.ConnectAsync(server.Options with { RequestTimeout = TimeSpan.FromMilliseconds(500) });
        while (true)
        {
            var error = await Record.ExceptionAsync(async () => await backend.ReadAsync(0, new byte[10]));
            Assert.NotNull(error);
            if (error is BackendException { Error: BackendError.Disconnected or BackendError.Protocol or BackendError.TimedOut })
                break;
        }
    }

    [Fact(Timeout = TimeLimit)]
    public async Task AnswersInAnyOrder_ReachTheirCallers()
    {
        await using var server = new ScriptedServer(async (connection, _) =>
        {
            await connection.NegotiateAsync(new ServerScript { IsStructured = true });
            var random = new Random(4);
            while (true)
            {
                var batch = new List<RequestHeader>();
                for (int i = 0; i < 20; i++)
                    batch.Add((await connection.ReadRequestAsync()).Header);
                foreach (var request in batch.OrderBy(_ => random.Next()))
                    await connection.AnswerAsync(request, BackendModel.Bytes((int)request.Offset, (int)request.Length));
            }
        });
        await using var backend = await NbdClientBackend.ConnectAsync(server.Options);
        for (int round = 0; round < 20; round++)
        {
            var buffers = Enumerable.Range(0, 20).Select(i => new byte[100 + i]).ToArray();
            await Task.WhenAll(buffers.Select((b, i) => backend.ReadAsync((round * 1000) + i, b).AsTask()));
            for (int i = 0; i < buffers.Length; i++)
                Assert.Equal(BackendModel.Bytes((round * 1000) + i, buffers[i].Length), buffers[i]);
        }
    }

    [Fact(Timeout = TimeLimit)]
    public async Task SilentServer_TimesOutEveryCall_AndCloseDoesNotHang()
    {
        await using var server = new ScriptedServer(async (connection, _) =>
        {
            await connection.NegotiateAsync(new ServerScript());
            await connection.StallAsync();
        });
        var backend = await NbdClientBackend.ConnectAsync(
            server.Options with { RequestTimeout = TimeSpan.FromMilliseconds(200), RequestsPerConnection = 4 });
        var calls = Enumerable.Range(0, 20).Select(i => Record.ExceptionAsync(async () => await backend.WriteAsync(i, new byte[100_000]))).ToArray();
        foreach (var error in await Task.WhenAll(calls))
            Assert.True(Assert.IsType<BackendException>(error).IsTransient, $"{error}");
        await backend.DisposeAsync();
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Close_WaitsForWhatIsUnderWay_ThenSaysGoodbye()
    {
        var asked = new TaskCompletionSource();
        var mayAnswer = new TaskCompletionSource();
        NbdCommand? last = null;
        await using var server = new ScriptedServer(async (connection, _) =>
        {
            await connection.NegotiateAsync(new ServerScript());
            var (request, _) = await connection.ReadRequestAsync();
            asked.SetResult();
            await mayAnswer.Task;
            await connection.AnswerAsync(request, Data);
            last = (await connection.ReadRequestAsync()).Header.Command;
        });
        var backend = await NbdClientBackend.ConnectAsync(server.Options with { CloseTimeout = TimeSpan.FromSeconds(60) });
        byte[] buffer = new byte[Data.Length];
        var read = backend.ReadAsync(0, buffer).AsTask();
        await asked.Task;
        var closing = backend.DisposeAsync().AsTask();
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await backend.ReadAsync(0, new byte[1]));
        Assert.False(closing.IsCompleted);
        mayAnswer.SetResult();
        await read;
        Assert.Equal(Data, buffer);
        await closing;
        Assert.Equal(NbdCommand.Disconnect, last);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task Close_DoesNotWaitLongerThanItsTime()
    {
        await using var server = new ScriptedServer(async (connection, _) =>
        {
            await connection.NegotiateAsync(new ServerScript());
            await connection.StallAsync();
        });
        var backend = await NbdClientBackend.ConnectAsync(server.Options with { RequestTimeout = TimeSpan.FromMinutes(10) });
        var read = Record.ExceptionAsync(async () => await backend.ReadAsync(0, new byte[10]));
        await backend.DisposeAsync();
        Assert.Equal(BackendError.Disconnected, Assert.IsType<BackendException>(await read).Error);
    }

    private static async Task<Exception?> ReadOnceAsync(NbdClientOptions options)
    {
        await using var backend = await NbdClientBackend.ConnectAsync(options);
        return await Record.ExceptionAsync(async () => await backend.ReadAsync(4096, new byte[Data.Length]));
    }
}
