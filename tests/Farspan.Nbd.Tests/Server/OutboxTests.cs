using Farspan.Nbd.Server;
using Farspan.Transports;
using Xunit;

namespace Farspan.Nbd.Tests.Server;

public sealed class OutboxTests
{
    [Fact(Timeout = 30_000)]
    public async Task MessagePostedWhileTheLineIsHeld_IsSentWithoutAnotherCall()
    {
        using var sending = new SemaphoreSlim(0);
        using var goOn = new SemaphoreSlim(0);
        var line = new ScriptedLine { Room = int.MaxValue };
        line.OnSend = count =>
        {
            if (count > 1)
                return;
            sending.Release();
            Assert.True(goOn.Wait(10_000));
        };
        await OnOwnThread(line, outbox =>
        {
            var poster = Task.Run(() =>
            {
                Assert.True(sending.Wait(10_000));
                Post(outbox, 100);
                goOn.Release();
            });
            Batch(outbox, 50);
            outbox.Flush();
            poster.Wait();
            Assert.Equal(150, line.Sent);
        });
    }

    [Fact(Timeout = 120_000)]
    public async Task ManyPosters_OnALineThatIsOftenFull_LoseNothing()
    {
        // The windows between looking at the queue and letting the line go are small: this goes through them very often.
        for (int round = 0; round < 200; round++)
        {
            var random = new Random(round);
            var line = new ScriptedLine { Room = 1000, ChangeRoom = () => random.Next(3) == 0 ? 0 : random.Next(3000) };
            await OnOwnThread(line, outbox =>
            {
                long total = 0;
                using var start = new Barrier(3);
                var posters = Enumerable.Range(0, 2).Select(poster => Task.Factory.StartNew(
                    () =>
                    {
                        start.SignalAndWait();
                        for (int i = 0; i < 300; i++)
                            Interlocked.Add(ref total, Post(outbox, 1 + ((i * 37) % 700)));
                    },
                    TaskCreationOptions.LongRunning)).ToArray();
                start.SignalAndWait();
                for (int i = 0; i < 300; i++)
                {
                    Interlocked.Add(ref total, Batch(outbox, 1 + (i % 50)));
                    outbox.Flush();
                }

                Task.WaitAll(posters);
                Assert.True(SpinWait.SpinUntil(() => line.Sent == Volatile.Read(ref total), 20_000), $"round {round}: {line.Sent} of {total} bytes");
            });
        }
    }

    [Fact(Timeout = 120_000)]
    public async Task MessagePostedWhileTheSenderEnds_IsSentWithoutAnotherCall()
    {
        // The full line leaves everything to the sender. What is posted just after its last send meets it between its last look and its rest.
        var line = new ScriptedLine { Room = 0 };
        await OnOwnThread(line, outbox =>
        {
            for (int round = 0; round < 60_000; round++)
            {
                long before = line.Sent;
                Batch(outbox, 1);
                outbox.Flush();
                while (line.Sent == before)
                    Thread.SpinWait(1);
                Thread.SpinWait(round % 40);
                Batch(outbox, 1);
                outbox.Flush();
                Assert.True(SpinWait.SpinUntil(() => line.Sent == before + 2, 10_000), $"round {round}");
            }
        });
    }

    [Fact(Timeout = 30_000)]
    public async Task BatchAndMessages_KeepTheirOrder()
    {
        var line = new ScriptedLine { Room = int.MaxValue, Record = new MemoryStream() };
        await OnOwnThread(line, outbox =>
        {
            byte next = 0;
            for (int i = 0; i < 200; i++)
            {
                if (i % 3 == 0)
                    Batch(outbox, 5, next++);
                else
                    Post(outbox, i % 7 == 0 ? 50_000 : 5, next++);
            }

            outbox.Flush();
        });
        byte[] bytes = line.Record.ToArray();
        byte[] order = [.. bytes.Where((value, index) => index == 0 || value != bytes[index - 1])];
        Assert.Equal(Enumerable.Range(0, 200).Select(i => (byte)i), order);
    }

    [Fact(Timeout = 30_000)]
    public async Task LineThatBreaks_DropsEverything_AndKeepsNothing()
    {
        var line = new ScriptedLine { Room = 0, OnSend = _ => throw new IOException("broken") };
        await OnOwnThread(line, outbox =>
        {
            for (int i = 0; i < 100; i++)
            {
                Batch(outbox, 10);
                Post(outbox, 10);
                outbox.Flush();
            }

            Assert.True(SpinWait.SpinUntil(() => outbox.HasFailed, 10_000));
            Post(outbox, 10);
            Batch(outbox, 10);
            outbox.Flush();
        });
        Assert.True(line.Aborted);
    }

    [Fact(Timeout = 30_000)]
    public async Task NoThreadForAFullLine_LosesTheConnection_AndKeepsNothing()
    {
        var line = new ScriptedLine { Room = 0 };
        await OnOwnThread(
            line,
            outbox =>
            {
                Task.Run(() => Post(outbox, 100)).Wait();
                Batch(outbox, 10);
                outbox.Flush();
                Assert.True(outbox.HasFailed);
            },
#pragma warning disable MA0012 // It is what Thread.Start throws.
            _ => throw new InsufficientMemoryException());
#pragma warning restore MA0012
        Assert.True(line.Aborted);
    }

    [Fact(Timeout = 30_000)]
    public async Task SenderThatIsStartedWhileTheConnectionEnds_IsWaitedFor()
    {
        // The poster has decided to start the sender, and the connection ends before that runs.
        var line = new ScriptedLine { Room = 0 };
        Thread? own = null;
        Task? poster = null;
        await OnOwnThread(
            line,
            outbox =>
            {
                own = Thread.CurrentThread;
                using var starting = new SemaphoreSlim(0);
                Starting = starting;
                poster = Task.Factory.StartNew(() => Post(outbox, 100), TaskCreationOptions.LongRunning);
                Assert.True(starting.Wait(10_000));
            },
            sender =>
            {
                Starting!.Release();
                Assert.True(SpinWait.SpinUntil(() => (own!.ThreadState & ThreadState.WaitSleepJoin) != 0 || line.Sent == 100, 10_000));
                sender.Start();
            });
        await poster!;
        Assert.Equal(100, line.Sent);
    }

    private SemaphoreSlim? Starting { get; set; }

    private static async Task OnOwnThread(ScriptedLine line, Action<Outbox> work, Action<Thread>? startThread = null)
    {
        var pool = new BufferPool();
        var flight = new Flight(1000, 1 << 30, new ServerBudget(1 << 30));
        await Task.Factory.StartNew(
            () =>
            {
                using var outbox = new Outbox(line, pool, flight, new ConnectionProgress(), "test", startThread);
                work(outbox);
            },
            TaskCreationOptions.LongRunning);
        Assert.Equal((0, 0L, 0), (pool.Outstanding, flight.Bytes, flight.Operations));
    }

    private static int Batch(Outbox outbox, int length, byte value = 0)
    {
        outbox.Reserve(length).Fill(value);
        outbox.Commit(length);
        return length;
    }

    private static int Post(Outbox outbox, int length, byte value = 0)
    {
        var buffer = new PooledBuffer(new BufferPool(), new byte[BufferPool.Capacity(length)]);
        buffer.Array.AsSpan(0, length).Fill(value);
        var message = outbox.Rent();
        message.SetBody(buffer, 0, length);
        outbox.Post(message);
        return length;
    }

    private sealed class ScriptedLine : ByteChannel
    {
        private long _sent;
        private int _sends;

        public int Room { get; set; }

        public Func<int>? ChangeRoom { get; init; }

        public Action<int>? OnSend { get; set; }

        public MemoryStream? Record { get; init; }

        public bool Aborted { get; private set; }

        public long Sent => Volatile.Read(ref _sent);

        public override int Receive(Span<byte> buffer) => 0;

        public override bool IsProtected => true;

        public override bool KnowsInput => true;

        public override bool HasInput() => false;

        public override void WaitForInput()
        {
        }

        public override void Send(ReadOnlySpan<byte> bytes)
        {
            OnSend?.Invoke(++_sends);
            Record?.Write(bytes);
            Interlocked.Add(ref _sent, bytes.Length);
        }

        public override int SendRoom(int wanted) => ChangeRoom?.Invoke() ?? Room;

        public override Stream AsStream() => throw new NotSupportedException();

        public override void FinishSending()
        {
        }

        public override void Abort() => Aborted = true;

        public override void Dispose()
        {
        }
    }
}
