using System.Collections.Concurrent;
using Farspan.Backends;
using Farspan.Nbd.Protocol;
using Farspan.Nbd.Server;
using Farspan.TestKit;
using Farspan.TestKit.Time;
using Xunit;

namespace Farspan.Nbd.Tests.Server;

/// <summary>Requests at the same time, limits, time-outs and stopping.</summary>
public sealed class ConcurrencyTests
{
    private const int Size = 1 << 20;

    [Theory(Timeout = 120_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task SlowRequest_IsOvertaken(bool overSocket)
    {
        var gate = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(Size)
        {
            Before = async (call, offset, _, _) => await (offset == 0 ? gate.Task : Task.CompletedTask),
        };
        await using var harness = new ServerHarness(backend);
        foreach (var form in Enum.GetValues<HeaderForm>())
        {
            gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            var client = harness.Connect(overSocket);
            client.Go(form);
            ulong slowRead = client.SendRequest(NbdCommand.Read, 0, 4096);
            ulong slowWrite = client.SendRequest(NbdCommand.Write, 0, 4096, new byte[4096]);
            for (int i = 0; i < 100; i++)
                Assert.Equal(NbdErrno.Ok, client.Read(4096, 4096, out _));
            gate.SetResult();
            var cookies = new[] { client.ReadReply(LengthOf).Cookie, client.ReadReply(LengthOf).Cookie };
            Assert.Equivalent(new[] { slowRead, slowWrite }, cookies);

            int LengthOf(ulong cookie) => cookie == slowRead ? 4096 : 0;
        }
    }

    [Theory(Timeout = 120_000)]
    [InlineData(HeaderForm.Simple, true)]
    [InlineData(HeaderForm.Structured, true)]
    [InlineData(HeaderForm.Extended, false)]
    public async Task ManyRequestsInFlight_CompletingAnyhow_AllGetTheirBytes(HeaderForm form, bool overSocket)
    {
        var random = new ThreadLocal<Random>(() => new Random(Environment.CurrentManagedThreadId));
        await using var backend = new ScriptedBackend(Size)
        {
            Before = async (_, _, _, _) =>
            {
                int dice = random.Value!.Next(4);
                if (dice == 1)
                    await Task.Yield();
                else if (dice == 2)
                    await Task.Delay(random.Value!.Next(3), CancellationToken.None);
            },
        };
        new Random(3).NextBytes(backend.Bytes);
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect(overSocket);
        client.Go(form);
        const int Count = 3000;
        var expected = new ConcurrentDictionary<ulong, (int Offset, int Length)>();
        var sender = Task.Factory.StartNew(
            () =>
            {
                var dice = new Random(4);
                for (int i = 0; i < Count; i++)
                {
                    int length = dice.Next(10) == 0 ? dice.Next(1, 300_000) : dice.Next(1, 9000);
                    int offset = dice.Next(Size - length);
                    ulong cookie = (ulong)i + 77;
                    expected[cookie] = (offset, length);
                    client.Send(client.RequestBytes(NbdCommand.Read, (ulong)offset, (ulong)length, cookie: cookie));
                }
            },
            TaskCreationOptions.LongRunning);
        var open = new Dictionary<ulong, ScriptedReply>();
        for (int done = 0; done < Count;)
        {
            var reply = client.ReadMessageInto(open, c => expected[c].Length);
            if (!reply.IsDone)
                continue;
            done++;
            open.Remove(reply.Cookie);
            Assert.True(expected.TryRemove(reply.Cookie, out var range));
            Assert.Equal(NbdErrno.Ok, reply.Error);
            Assert.True(backend.Bytes.AsSpan(range.Offset, range.Length).SequenceEqual(reply.Data((ulong)range.Offset, range.Length)));
        }

        await sender;
    }

    [Theory(Timeout = 120_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ClientThatSendsWithoutReading_IsStillReceived(bool overSocket)
    {
        // The replies to the reads fill every buffer on the way back; the writes behind them must come through all the same.
        await using var backend = new ScriptedBackend(16 << 20);
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect(overSocket);
        client.Go(HeaderForm.Structured);
        for (int i = 0; i < 20; i++)
            client.SendRequest(NbdCommand.Read, 0, 1 << 20);
        byte[] written = new byte[8 << 20];
        new Random(5).NextBytes(written);
        ulong last = client.SendRequest(NbdCommand.Write, 8 << 20, 8 << 20, written);
        for (int i = 0; i < 21; i++)
            Assert.Equal(NbdErrno.Ok, client.ReadReplyOfMany().Error);
        Assert.True(written.AsSpan().SequenceEqual(backend.Bytes.AsSpan(8 << 20)));
        Assert.NotEqual(0UL, last);
    }

    [Fact(Timeout = 120_000)]
    public async Task LimitOfRequests_HoldsBackTheNextOne()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var entered = new SemaphoreSlim(0);
        await using var backend = new ScriptedBackend(Size)
        {
            Before = async (_, _, _, _) =>
            {
                entered.Release();
                await gate.Task;
            },
        };
        await using var harness = new ServerHarness(backend, new NbdServerOptions { MaximumRequestsInFlight = 3 });
        var client = harness.Connect();
        client.Go();
        for (int i = 0; i < 10; i++)
            client.SendRequest(NbdCommand.Read, 0, 512);
        for (int i = 0; i < 3; i++)
            Assert.True(await entered.WaitAsync(10_000));
        Assert.False(await entered.WaitAsync(200));
        gate.SetResult();
        for (int i = 0; i < 10; i++)
            Assert.Equal(NbdErrno.Ok, client.ReadReply(_ => 512).Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task LimitOfBytes_HoldsBackTheNextOne_ButNeverTheOnlyOne()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var backend = new ScriptedBackend(64 << 20) { Before = async (_, _, _, _) => await gate.Task };
        await using var harness = new ServerHarness(backend, new NbdServerOptions { MaximumBytesInFlight = 4 << 20 });
        var client = harness.Connect();
        client.Go(HeaderForm.Simple);
        for (int i = 0; i < 16; i++)
            client.SendRequest(NbdCommand.Read, 0, 1 << 20);
        await Eventually.HoldsAsync(() => backend.Calls.Count == 4);
        await Task.Delay(200);
        Assert.Equal(4, backend.Calls.Count);
        Assert.InRange(harness.Server.BytesInFlight, 4 << 20, 5 << 20);
        gate.SetResult();
        for (int i = 0; i < 16; i++)
            Assert.Equal(NbdErrno.Ok, client.ReadReply(_ => 1 << 20).Error);
        Assert.Equal(NbdErrno.Ok, client.Read(0, 32 << 20, out _));
    }

    [Fact(Timeout = 120_000)]
    public async Task BytesOfTheServer_AreShared_AndOneGreedyClientDoesNotStopAnother()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var greedyStore = new ScriptedBackend(8 << 20) { Before = async (_, _, _, _) => await gate.Task };
        await using var store = new ScriptedBackend(8 << 20) { Before = async (_, _, _, _) => await Task.Yield() };
        await using var harness = new ServerHarness(
            [new NbdExport { Name = "greedy", Backend = greedyStore }, new NbdExport { Name = "other", Backend = store }],
            new NbdServerOptions { MaximumServerBytesInFlight = 4 << 20 });
        var greedy = harness.Connect();
        greedy.Go(HeaderForm.Simple, "greedy");
        for (int i = 0; i < 32; i++)
            greedy.SendRequest(NbdCommand.Read, 0, 1 << 20);
        await Eventually.HoldsAsync(() => harness.Server.BytesInFlight >= 4 << 20);
        var other = harness.Connect();
        other.Go(HeaderForm.Simple, "other");
        for (int i = 0; i < 20; i++)
            Assert.Equal(NbdErrno.Ok, other.Read(0, 1 << 20, out _));
        gate.SetResult();
        for (int i = 0; i < 32; i++)
            Assert.Equal(NbdErrno.Ok, greedy.ReadReply(_ => 1 << 20).Error);
    }

    [Fact(Timeout = 120_000)]
    public async Task ConnectionsOverTheLimit_AreClosedAtOnce_AndLaterOnesServed()
    {
        await using var harness = new ServerHarness(new MemoryBackend(Size), new NbdServerOptions { MaximumConnections = 2 });
        var one = harness.Connect();
        one.Go();
        var two = harness.Connect();
        two.Go();
        Assert.Throws<InvalidOperationException>(() => harness.Connect());
        Assert.Equal(NbdErrno.Ok, one.Read(0, 512, out _));
        two.Dispose();
        await Eventually.HoldsAsync(() => harness.Server.ConnectionCount == 1);
        harness.Connect().Go();
    }

    [Theory(Timeout = 120_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task SilentClient_IsDroppedAfterTheHandshakeTimeout(bool overSocket)
    {
        var clock = new VirtualTimeProvider();
        await using var harness = new ServerHarness(
            new MemoryBackend(Size), new NbdServerOptions { Clock = clock, HandshakeTimeout = TimeSpan.FromSeconds(10) });

        // Its first answer says that the server knows it to be past the handshake.
        var busy = harness.Connect(overSocket);
        busy.Go();
        Assert.Equal(NbdErrno.Ok, busy.Read(0, 512, out _));
        var silent = harness.Connect(overSocket);
        silent.Receive(18);
        clock.Advance(TimeSpan.FromSeconds(9));
        Assert.Equal(2, harness.Server.ConnectionCount);
        await Eventually.HoldsAsync(() =>
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            return harness.Server.ConnectionCount == 1;
        });
        silent.AssertClosed();
        clock.Advance(TimeSpan.FromSeconds(100));
        Assert.Equal(NbdErrno.Ok, busy.Read(0, 512, out _));
    }

    [Theory(Timeout = 120_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ClientThatHangsWithinARequest_IsDropped(bool overSocket)
    {
        await using var harness = new ServerHarness(new MemoryBackend(8 << 20), Impatient);
        foreach (int sent in new[] { 1, 27, 28, 29, 28 + (200 << 10) })
        {
            var client = harness.Connect(overSocket);
            client.Go();
            client.Send(client.RequestBytes(NbdCommand.Write, 0, 1 << 20, new byte[1 << 20]).AsSpan(0, sent));
            client.AssertClosed();
        }
    }

    [Theory(Timeout = 120_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task ClientThatNeverReads_IsDropped_AndHoldsNothing(bool overSocket)
    {
        await using var backend = new ScriptedBackend(8 << 20);
        await using var harness = new ServerHarness(backend, Impatient);
        var client = harness.Connect(overSocket);
        client.Go();
        for (int i = 0; i < 64; i++)
            client.SendRequest(NbdCommand.Read, 0, 1 << 20);
        await harness.ClientsGoneAsync();
        Assert.Equal(0, harness.Server.OutstandingBuffers);
    }

    [Fact(Timeout = 120_000)]
    public async Task ClientThatReadsSlowly_IsNotDropped()
    {
        await using var backend = new ScriptedBackend(8 << 20);

        // Longer in all than the server waits for one piece, and each pause far shorter: a machine that does much at once stretches them.
        await using var harness = new ServerHarness(backend, new NbdServerOptions { StallTimeout = TimeSpan.FromSeconds(2) });
        var client = harness.Connect();
        client.Go(HeaderForm.Simple);
        client.SendRequest(NbdCommand.Read, 0, 4 << 20);
        int received = 0;
        for (int total = (4 << 20) + 16; received < total;)
        {
            int count = Math.Min(256 << 10, total - received);
            client.Receive(count);
            received += count;
            await Task.Delay(150);
        }

        Assert.Equal(NbdErrno.Ok, client.Read(0, 512, out _));
    }

    [Fact(Timeout = 120_000)]
    public async Task IdleClient_IsDroppedOnlyWhereAskedFor()
    {
        await using var harness = new ServerHarness(
            new MemoryBackend(Size), new NbdServerOptions { IdleTimeout = TimeSpan.FromMilliseconds(300), StallTimeout = TimeSpan.FromSeconds(30) });
        var client = harness.Connect();
        client.Go();
        client.AssertClosed();
        await using var patient = new ServerHarness(new MemoryBackend(Size), Impatient);
        var idle = patient.Connect();
        idle.Go();
        await Task.Delay(800);
        Assert.Equal(NbdErrno.Ok, idle.Read(0, 512, out _));
    }

    [Theory(Timeout = 120_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Disc_AnswersWhatIsInFlightFirst(bool overSocket)
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var backend = new ScriptedBackend(Size) { Before = async (_, _, _, _) => await gate.Task };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect(overSocket);
        client.Go();
        ulong cookie = client.SendRequest(NbdCommand.Write, 0, 4, [1, 2, 3, 4]);
        client.SendRequest(NbdCommand.Disconnect, 0, 0);
        await Eventually.HoldsAsync(() => backend.Calls.Count == 1);
        gate.SetResult();
        var reply = client.ReadReply();
        Assert.Equal((cookie, NbdErrno.Ok), (reply.Cookie, reply.Error));
        client.AssertClosed();
        Assert.Equal(["write 0+4", "flush 0+0"], backend.Calls);
    }

    [Theory(Timeout = 120_000)]
    [InlineData(true)]
    [InlineData(false)]
    public async Task LostClient_CancelsWhatItAskedFor_AndItsWritesAreFlushed(bool overSocket)
    {
        using var cancelled = new SemaphoreSlim(0);
        await using var backend = new ScriptedBackend(Size)
        {
            Before = async (call, _, _, token) =>
            {
                if (call != "read")
                    return;
                try
                {
                    await Task.Delay(Timeout.Infinite, token);
                }
                finally
                {
                    cancelled.Release();
                }
            },
        };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect(overSocket);
        client.Go();
        Assert.Equal(NbdErrno.Ok, client.Write(0, [1]));
        client.SendRequest(NbdCommand.Read, 0, 512);
        await Eventually.HoldsAsync(() => backend.Calls.Contains("read 0+512"));
        client.Dispose();
        Assert.True(await cancelled.WaitAsync(10_000));
        await harness.ClientsGoneAsync();
        Assert.Equal("flush 0+0", backend.Calls.Last());
    }

    [Fact(Timeout = 120_000)]
    public async Task Stopping_AnswersWhatIsInFlight_AndRefusesTheRest()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var backend = new ScriptedBackend(Size) { Before = async (_, _, _, _) => await gate.Task };
        await using var harness = new ServerHarness(backend);
        var client = harness.Connect();
        client.Go();
        var negotiating = harness.Connect();
        negotiating.Greet();
        ulong slow = client.SendRequest(NbdCommand.Read, 0, 512);
        await Eventually.HoldsAsync(() => backend.Calls.Count == 1);
        var stopping = harness.Server.StopAsync();
        await Eventually.HoldsAsync(() => client.Request(NbdCommand.Write, 0, 4, [1, 2, 3, 4]).Error == NbdErrno.Shutdown);
        Assert.Equal(NbdOptionReply.ErrorShutdown, negotiating.Option(NbdOption.List));
        Assert.Equal(NbdOptionReply.Ack, negotiating.Option(NbdOption.Abort));
        Assert.False(stopping.IsCompleted);
        gate.SetResult();
        var reply = client.ReadReply(_ => 512);
        Assert.Equal((slow, NbdErrno.Ok), (reply.Cookie, reply.Error));
        client.AssertClosed();
        await stopping;
        Assert.Throws<InvalidOperationException>(() => harness.Connect());
    }

    [Fact(Timeout = 120_000)]
    public async Task Stopping_DoesNotWaitForever()
    {
        await using var backend = new ScriptedBackend(Size)
        {
            Before = async (call, _, _, token) => await (call == "read" ? Task.Delay(Timeout.Infinite, token) : Task.CompletedTask),
        };
        await using var harness = new ServerHarness(backend, new NbdServerOptions { ShutdownTimeout = TimeSpan.FromMilliseconds(200) });
        var client = harness.Connect();
        client.Go();
        client.SendRequest(NbdCommand.Read, 0, 512);
        await Eventually.HoldsAsync(() => backend.Calls.Count == 1);
        await harness.Server.StopAsync();
        client.AssertClosed();
    }

    [Fact(Timeout = 120_000)]
    public async Task Stopping_Cancelled_ClosesAtOnce()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var backend = new ScriptedBackend(Size) { Before = async (_, _, _, token) => await gate.Task.WaitAsync(token) };
        await using var harness = new ServerHarness(backend, new NbdServerOptions { ShutdownTimeout = TimeSpan.FromMinutes(5) });
        var client = harness.Connect();
        client.Go();
        client.SendRequest(NbdCommand.Read, 0, 512);
        await Eventually.HoldsAsync(() => backend.Calls.Count == 1);
        await harness.Server.StopAsync(new CancellationToken(canceled: true));
        client.AssertClosed();
    }

    [Fact(Timeout = 120_000)]
    public async Task ManyClients_ComingAndGoing_LeaveNothingBehind()
    {
        await using var backend = new ScriptedBackend(Size) { Before = async (_, _, _, _) => await Task.Yield() };
        await using var harness = new ServerHarness(backend);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(worker => Task.Factory.StartNew(
            () =>
            {
                for (int i = 0; i < 25; i++)
                {
                    using var client = harness.ConnectUnowned();
                    client.Go(HeaderForm.Structured);
                    for (int request = 0; request < 20; request++)
                        client.SendRequest(NbdCommand.Read, 0, (ulong)(request * 1000) + 1);
                    if ((worker + i) % 3 == 0)
                        client.SendRequest(NbdCommand.Disconnect, 0, 0);
                }
            },
            TaskCreationOptions.LongRunning)));
        await harness.ClientsGoneAsync();
    }

    private static NbdServerOptions Impatient => new() { StallTimeout = TimeSpan.FromMilliseconds(400) };
}
