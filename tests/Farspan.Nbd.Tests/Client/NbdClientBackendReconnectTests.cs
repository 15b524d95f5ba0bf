using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.Nbd.Protocol;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Nbd.Tests.Client;

/// <summary>Losing the connection and the server, and what was promised to callers.</summary>
public sealed class NbdClientBackendReconnectTests
{
    private const int TimeLimit = 120_000;
    private const int Size = 256 << 10;

    private static readonly byte[] Data = BackendModel.Bytes(1, 1000);

    [Fact(Timeout = TimeLimit)]
    public async Task UnansweredRequests_AreSentAgain()
    {
        var store = new VolatileStore(Size);
        await using var server = new ScriptedServer((connection, number) =>
        {
            int left = 5;
            return store.ServeAsync(connection, new ServerScript(), _ => number >= 20 || --left > 0);
        });
        await using var backend = await NbdClientBackend.ConnectAsync(Patient(server));
        await Task.WhenAll(Enumerable.Range(0, 60).Select(i => backend.WriteAsync(i * 1000, BackendModel.Bytes(i, 1000)).AsTask()));
        for (int i = 0; i < 60; i++)
        {
            byte[] buffer = new byte[1000];
            await backend.ReadAsync(i * 1000, buffer);
            Assert.Equal(BackendModel.Bytes(i, 1000), buffer);
        }

        Assert.True(server.Accepted > 5, $"{server.Accepted} connections");
    }

    /// <summary>The promise: a write that was followed by a completed flush is never lost, and reads see every acknowledged write.</summary>
    [Theory(Timeout = TimeLimit)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public async Task ServerThatCrashesAtRandom_LosesNothing(int seed)
    {
        var store = new VolatileStore(Size);
        var random = new Random(seed);
        int crashes = 0;
        await using var server = new ScriptedServer((connection, _) => store.ServeAsync(
            connection,
            new ServerScript { IsStructured = seed % 2 == 0, Flags = ServerScript.AllFlags | (seed % 3 == 0 ? NbdTransmissionFlags.CanMultiConn : 0) },
            _ =>
            {
                lock (random)
                {
                    if (crashes >= 40 || random.Next(25) > 0)
                        return true;
                    crashes++;
                    store.Crash();
                    return false;
                }
            }));
        await using var backend = await NbdClientBackend.ConnectAsync(Patient(server));
        var model = new BackendModelRunner(backend, seed, maximumLength: 20_000);
        if (seed % 3 == 0)
        {
            // Several connections: one crash of the store is one of the process, which ends all of them.
            await model.RunAsync(300);
        }
        else
        {
            await model.RunConcurrentAsync(workers: 4, stepsEach: 100);
        }

        await backend.FlushAsync();
        Assert.True(crashes > 3, $"{crashes} crashes");
        store.Crash();
        await model.CheckAllAsync();
    }

    [Fact(Timeout = TimeLimit)]
    public async Task WithoutBudget_LostWritesFailEveryFlush()
    {
        var store = new VolatileStore(Size);
        await using var server = new ScriptedServer((connection, _) => store.ServeAsync(connection, new ServerScript()));
        await using var backend = await NbdClientBackend.ConnectAsync(Patient(server) with { UnflushedBudget = 0 });
        await backend.WriteAsync(0, Data);
        await backend.FlushAsync();
        server.CutAll();
        await backend.ReadAsync(0, new byte[10]);
        await backend.FlushAsync();
        await backend.WriteAsync(0, Data);
        server.CutAll();
        for (int i = 0; i < 2; i++)
        {
            var error = await Assert.ThrowsAsync<BackendException>(async () => await backend.FlushAsync());
            Assert.False(error.IsTransient);
            Assert.Contains("not flushed", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact(Timeout = TimeLimit)]
    public async Task FullBudget_IsFlushedByTheClient_AndWritersWaitForIt()
    {
        var store = new VolatileStore(8 << 20);
        await using var server = new ScriptedServer((connection, _) => store.ServeAsync(connection, new ServerScript()));
        await using var backend = await NbdClientBackend.ConnectAsync(
            Patient(server) with { UnflushedBudget = 4 << 20, MaximumRequestLength = 256 << 10 });
        byte[] data = BackendModel.Bytes(3, 8 << 20);
        for (int round = 0; round < 3; round++)
            await backend.WriteAsync(0, data);
        Assert.True(store.Flushes >= 3, $"{store.Flushes} flushes");
        await backend.FlushAsync();
        Assert.Equal(data, store.Durable);
    }

    /// <summary>A kernel whose flush failed may drop what it could not store, and call the next flush a success.</summary>
    [Fact(Timeout = TimeLimit)]
    public async Task FlushAfterAFailedOne_WritesAgainFirst()
    {
        var store = new VolatileStore(Size);
        await using var server = new ScriptedServer((connection, _) => store.ServeAsync(connection, new ServerScript()));
        await using var backend = await NbdClientBackend.ConnectAsync(Patient(server));
        await backend.WriteAsync(0, Data);
        await backend.WriteAsync(500, Data);
        store.FlushesToFail = 2;
        for (int i = 0; i < 2; i++)
            Assert.Equal(BackendError.InputOutput, (await Assert.ThrowsAsync<BackendException>(async () => await backend.FlushAsync())).Error);
        await backend.FlushAsync();
        Assert.Equal([.. Data[..500], .. Data], store.Durable[..1500]);
    }

    [Theory(Timeout = TimeLimit)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ChangedExport_IsAClearError(bool shrinks)
    {
        await using var server = new ScriptedServer(async (connection, number) =>
        {
            await connection.NegotiateAsync((number, shrinks) switch
            {
                (0, _) => new ServerScript(),
                (_, true) => new ServerScript { Size = 4096 },
                _ => new ServerScript { Flags = NbdTransmissionFlags.HasFlags | NbdTransmissionFlags.ReadOnly },
            });
            if (number > 0)
                await connection.StallAsync();
        });
        await using var backend = await NbdClientBackend.ConnectAsync(Patient(server));
        var error = await Assert.ThrowsAsync<BackendException>(async () => await backend.ReadAsync(0, new byte[10]));
        Assert.Equal(BackendError.Invalid, error.Error);
        Assert.False(error.IsTransient);
        Assert.Contains(shrinks ? "its size was 1048576 bytes and is 4096 now" : "read-only now", error.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task LongOutage_FailsCallsAfterTheirTime_AndEndsWhenTheServerIsBack()
    {
        var store = new VolatileStore(Size);
        bool isBack = false;
        await using var server = new ScriptedServer(
            (connection, number) => number == 0 || Volatile.Read(ref isBack) ? store.ServeAsync(connection, new ServerScript()) : Task.CompletedTask);
        await using var backend = await NbdClientBackend.ConnectAsync(
            Patient(server) with { ReconnectTimeout = TimeSpan.FromMilliseconds(300), MaximumReconnectDelay = TimeSpan.FromMilliseconds(50) });
        await backend.WriteAsync(0, Data);
        server.CutAll();
        var error = await Assert.ThrowsAsync<BackendException>(async () => await backend.ReadAsync(0, new byte[10]));
        Assert.Equal(BackendError.Disconnected, error.Error);
        Assert.True(error.IsTransient);
        await Assert.ThrowsAsync<BackendException>(async () => await backend.ReadAsync(0, new byte[10]));
        Volatile.Write(ref isBack, true);
        byte[] buffer = new byte[Data.Length];
        while (await Record.ExceptionAsync(async () => await backend.ReadAsync(0, buffer)) is not null)
            await Task.Delay(5);
        Assert.Equal(Data, buffer);
        await backend.FlushAsync();
    }

    [Fact(Timeout = TimeLimit)]
    public async Task CloseDuringAnOutage_DoesNotHang()
    {
        await using var server = new ScriptedServer(async (connection, number) =>
        {
            if (number == 0)
                await connection.NegotiateAsync(new ServerScript());
            else
                await connection.StallAsync();
        });
        var backend = await NbdClientBackend.ConnectAsync(Patient(server));
        var read = Record.ExceptionAsync(async () => await backend.ReadAsync(0, new byte[10]));
        while (server.Accepted < 2)
            await Task.Delay(1);
        await backend.DisposeAsync();
        Assert.IsType<BackendException>(await read);
    }

    /// <summary>A cancelled read's buffer is the caller's again: nothing may be written to it, whenever the answer comes.</summary>
    [Fact(Timeout = TimeLimit)]
    public async Task CancelledReads_NeverTouchTheirBuffersLater()
    {
        await using var server = new LocalServer(new MemoryBackend(1 << 20));
        await using var backend = await NbdClientBackend.ConnectAsync(server.Options);
        byte[] data = BackendModel.Bytes(5, 1 << 20);
        await backend.WriteAsync(0, data);
        var workers = Enumerable.Range(0, 6).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            for (int i = 0; i < 400; i++)
            {
                using var cancel = new CancellationTokenSource();
                int length = 1 + random.Next(1 << random.Next(1, 19));
                int offset = random.Next(data.Length - length);
                byte[] buffer = new byte[length];
                var read = backend.ReadAsync(offset, buffer, cancel.Token).AsTask();
                for (int spin = random.Next(2000); spin > 0; spin--)
                    Thread.SpinWait(3);
                await cancel.CancelAsync();
                try
                {
                    await read;
                    Assert.True(data.AsSpan(offset, length).SequenceEqual(buffer));
                }
                catch (OperationCanceledException)
                {
                    buffer.AsSpan().Fill(0xDD);
                    await Task.Yield();
                    Assert.False(buffer.AsSpan().ContainsAnyExcept((byte)0xDD), "A cancelled read wrote to its buffer.");
                }
            }
        })).ToArray();
        await Task.WhenAll(workers);
        byte[] all = new byte[data.Length];
        await backend.ReadAsync(0, all);
        Assert.Equal(data, all);
    }

    /// <summary>Sharing buffers between a cancelled write and the next call must not put the later bytes where the earlier ones were to go.</summary>
    [Theory(Timeout = TimeLimit)]
    [InlineData(0L)]
    [InlineData(64L << 20)]
    public async Task CancelledWrites_WriteTheirBytesOrNothing(long budget)
    {
        await using var server = new LocalServer(new MemoryBackend(1 << 20));
        await using var backend = await NbdClientBackend.ConnectAsync(server.Options with { UnflushedBudget = budget });
        var workers = Enumerable.Range(0, 4).Select(worker => Task.Run(async () =>
        {
            var random = new Random(worker);
            byte[] buffer = new byte[64 << 10];
            byte[] seen = new byte[64 << 10];
            int offset = worker * (256 << 10);
            for (int i = 0; i < 300; i++)
            {
                using var cancel = new CancellationTokenSource();
                byte mark = (byte)(1 + (i % 250));
                int length = 1 + random.Next(buffer.Length);
                buffer.AsSpan(0, length).Fill(mark);
                await backend.WriteAsync(offset, new byte[length]);
                var write = backend.WriteAsync(offset, buffer.AsMemory(0, length), cancel.Token).AsTask();
                for (int spin = random.Next(500); spin > 0; spin--)
                    Thread.SpinWait(3);
                await cancel.CancelAsync();
                await Record.ExceptionAsync(() => write);
                buffer.AsSpan().Fill(0xFF);
                await backend.ReadAsync(offset, seen.AsMemory(0, length));
                Assert.False(seen.AsSpan(0, length).ContainsAnyExcept(mark, (byte)0), "Bytes from after the call were written.");
            }
        })).ToArray();
        await Task.WhenAll(workers);
    }

    private static NbdClientOptions Patient(ScriptedServer server) => server.Options with
    {
        ReconnectTimeout = TimeSpan.FromSeconds(60),
        RequestTimeout = TimeSpan.FromSeconds(60),
        MaximumReconnectDelay = TimeSpan.FromMilliseconds(20),
    };
}
