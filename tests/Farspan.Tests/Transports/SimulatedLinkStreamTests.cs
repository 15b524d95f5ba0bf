using Farspan.TestKit.Time;
using Farspan.Transports;
using Xunit;

namespace Farspan.Tests.Transports;

public sealed class SimulatedLinkStreamTests
{
    private const int TimeLimit = 120_000;

    [Fact]
    public void PingPong_TakesOneRoundTrip()
        => VirtualTime.Run(async clock =>
        {
            var (stream, far) = Create(clock, "rtt=25ms,rate=1Gbit");
            var echo = EchoAsync(far, 3);
            byte[] buffer = new byte[1];
            for (int i = 1; i <= 3; i++)
            {
                await stream.WriteAsync(new[] { (byte)i });
                Assert.Equal(1, await stream.ReadAsync(buffer));
                Assert.Equal(i, buffer[0]);
                Assert.Equal(25 * i, clock.Now.TotalMilliseconds, 0.01 * i);
            }

            await echo;
            await stream.DisposeAsync();
        });

    [Fact]
    public void Bulk_TakesItsBytesAtTheRate_InBothDirectionsAtOnce()
        => VirtualTime.Run(async clock =>
        {
            const int Size = 1_000_000;
            var (stream, far) = Create(clock, "rtt=20ms,up=80Mbit,down=8Mbit");
            byte[] up = Bytes(1, Size);
            byte[] down = Bytes(2, Size / 10);
            byte[] gotUp = new byte[Size];
            byte[] gotDown = new byte[Size / 10];
            var upAt = default(TimeSpan);
            var receiving = ReceiveAsync();
            var sending = stream.WriteAsync(up).AsTask();
            await far.WriteAsync(down);
            await ReadAllAsync(stream, gotDown);
            Assert.Equal(110, clock.Now.TotalMilliseconds, 0.5);
            await sending;
            await receiving;
            Assert.Equal(110, upAt.TotalMilliseconds, 0.5);
            Assert.Equal(up, gotUp);
            Assert.Equal(down, gotDown);
            await stream.DisposeAsync();

            async Task ReceiveAsync()
            {
                await ReadAllAsync(far, gotUp);
                upAt = clock.Now;
            }
        });

    [Fact]
    public void LargeWrite_ArrivesBitByBit()
        => VirtualTime.Run(async clock =>
        {
            var (stream, far) = Create(clock, "rtt=20ms,rate=8Mbit");
            var sending = stream.WriteAsync(new byte[100_000]).AsTask();
            Assert.InRange(await far.ReadAsync(new byte[100_000]), 1, 3000);
            Assert.InRange(clock.Now.TotalMilliseconds, 10, 13);
            await ReadAllAsync(far, new byte[50_000]);
            Assert.InRange(clock.Now.TotalMilliseconds, 60, 65);
            await stream.DisposeAsync();
            await sending;
        });

    [Fact]
    public void FullLine_HoldsTheWriterBack()
        => VirtualTime.Run(async clock =>
        {
            // The line holds 100,000 bytes (10 ms at 80 Mbit/s), its queue 4096 more; the overhead of segments is counted, too.
            var (stream, far) = Create(clock, "rtt=20ms,rate=80Mbit,queue=4KiB");
            await stream.WriteAsync(new byte[90_000]);
            Assert.Equal(TimeSpan.Zero, clock.Now);
            var blocked = stream.WriteAsync(new byte[90_000]).AsTask();
            await Task.Yield();
            Assert.False(blocked.IsCompleted);
            await ReadAllAsync(far, new byte[180_000]);
            await blocked;
            Assert.InRange(clock.Now.TotalMilliseconds, 28, 32);
            await stream.DisposeAsync();
        });

    [Fact]
    public void UnreadBytes_HoldTheFarSideBack()
        => VirtualTime.Run(async clock =>
        {
            var (stream, far) = Create(clock, "rtt=2ms,rate=8Mbit,queue=4KiB");
            await far.WriteAsync(new byte[1_000_000]);
            await Delay(clock, TimeSpan.FromSeconds(5));

            // Nobody has read for five seconds: no more than the line and its queue are taken from the far side, and what is left still has to travel.
            var before = clock.Now;
            await ReadAllAsync(stream, new byte[100_000]);
            Assert.InRange((clock.Now - before).TotalMilliseconds, 50, 150);
            await stream.DisposeAsync();
        });

    [Fact]
    public void ShutdownWrites_EndsTheFarSide_AfterTheLastByte_AndReadingGoesOn()
        => VirtualTime.Run(async clock =>
        {
            var (stream, far) = Create(clock, "rtt=20ms");
            await stream.WriteAsync(new byte[] { 1, 2, 3 });
            stream.ShutdownWrites();
            await Assert.ThrowsAsync<IOException>(async () => await stream.WriteAsync(new byte[1]));
            byte[] buffer = new byte[10];
            Assert.Equal(3, await far.ReadAsync(buffer));
            Assert.Equal(0, await far.ReadAsync(buffer));
            Assert.Equal(10, clock.Now.TotalMilliseconds, 0.01);
            await far.WriteAsync(new byte[] { 4 });
            far.CloseWrites();
            Assert.Equal(1, await stream.ReadAsync(buffer));
            Assert.Equal(0, await stream.ReadAsync(buffer));
            Assert.Equal(0, await stream.ReadAsync(buffer));
            await stream.DisposeAsync();
        });

    [Fact]
    public void Disposed_LetsWhatWasWrittenArrive()
        => VirtualTime.Run(async clock =>
        {
            var (stream, far) = Create(clock, "rtt=20ms,rate=8Mbit");
            byte[] data = Bytes(3, 50_000);
            await stream.WriteAsync(data);
            await stream.DisposeAsync();
            Assert.InRange(clock.Now.TotalMilliseconds, 60, 61);
            byte[] actual = new byte[50_000];
            await ReadAllAsync(far, actual);
            Assert.Equal(data, actual);
            Assert.Equal(0, await far.ReadAsync(actual));
            await Assert.ThrowsAsync<ObjectDisposedException>(async () => await stream.WriteAsync(new byte[1]));
            Assert.Throws<ObjectDisposedException>(() => stream.ReadByte());
            await stream.DisposeAsync();
        });

    [Fact]
    public void BrokenInnerStream_FailsReadsAndWrites()
        => VirtualTime.Run(async clock =>
        {
            var (stream, far) = Create(clock, "rtt=20ms");
            var reading = stream.ReadAsync(new byte[1]).AsTask();
            await Task.Yield();
            far.Break(new IOException("the cable is cut"));
            Assert.Contains("the cable is cut", (await Assert.ThrowsAsync<IOException>(() => reading)).Message, StringComparison.Ordinal);
            await stream.WriteAsync(new byte[1]);
            await Delay(clock, TimeSpan.FromMilliseconds(20));
            Assert.Contains("the cable is cut", (await Assert.ThrowsAsync<IOException>(async () => await stream.WriteAsync(new byte[1]))).Message, StringComparison.Ordinal);
            await stream.DisposeAsync();
        });

    [Fact]
    public void CancelledRead_LosesNothing()
        => VirtualTime.Run(async clock =>
        {
            var (stream, far) = Create(clock, "rtt=20ms");
            using var source = new CancellationTokenSource(TimeSpan.FromMilliseconds(5), clock);
            var reading = stream.ReadAsync(new byte[1], source.Token).AsTask();
            await far.WriteAsync(new byte[] { 8 });
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => reading);
            Assert.Equal(5, clock.Now.TotalMilliseconds);
            byte[] buffer = new byte[1];
            Assert.Equal(1, await stream.ReadAsync(buffer));
            Assert.Equal(8, buffer[0]);
            await stream.DisposeAsync();
        });

    [Fact]
    public void StreamsOnOneLine_ShareItsRate()
        => VirtualTime.Run(async clock =>
        {
            var link = new LinkModel(LinkOptions.Parse("rtt=2ms,rate=8Mbit"), clock);
            var (near1, far1) = VirtualDuplexStream.CreatePair();
            var (near2, far2) = VirtualDuplexStream.CreatePair();
            await using var one = new SimulatedLinkStream(near1, link);
            await using var two = new SimulatedLinkStream(near2, link);
            await Task.WhenAll(
                one.WriteAsync(new byte[50_000]).AsTask(), two.WriteAsync(new byte[50_000]).AsTask(),
                ReadAllAsync(far1, new byte[50_000]), ReadAllAsync(far2, new byte[50_000]));
            Assert.Equal(101, clock.Now.TotalMilliseconds, 0.5);
        });

    [Fact(Timeout = TimeLimit)]
    public async Task OverARealSocket_SynchronousAndAsynchronousCalls_CarryEverythingInOrder()
    {
        using var pair = await StreamPair.ConnectAsync();
        await using var stream = new SimulatedLinkStream(pair.Near, new LinkModel(LinkOptions.Parse("rtt=4ms,rate=1Gbit")));
        byte[] data = Bytes(4, 3_000_000);
        var echo = Task.Run(async () =>
        {
            byte[] buffer = new byte[100_000];
            while (await pair.Far.ReadAsync(buffer) is var count and > 0)
                await pair.Far.WriteAsync(buffer.AsMemory(0, count));
            pair.Far.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        });
        var writer = Task.Factory.StartNew(
            () =>
            {
                for (int sent = 0, step = 1; sent < data.Length; sent += step, step = Math.Min((step * 2) + 1, Math.Max(1, data.Length - sent - step)))
                    stream.Write(data.AsSpan(sent, Math.Min(step, data.Length - sent)));
                stream.ShutdownWrites();
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        byte[] actual = new byte[data.Length];
        var reader = Task.Factory.StartNew(
            () =>
            {
                stream.ReadExactly(actual.AsSpan(0, actual.Length / 2));
                Assert.Equal(0, stream.Read(Span<byte>.Empty));
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        await reader;
        await stream.ReadExactlyAsync(actual.AsMemory(actual.Length / 2));
        Assert.Equal(0, await stream.ReadAsync(new byte[1]));
        await writer;
        await echo;
        Assert.Equal(data, actual);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task DisposedWhileEverythingIsBlocked_EndsInTime_AndFreesTheBlocked()
    {
        using var pair = await StreamPair.ConnectAsync();
        var stream = new SimulatedLinkStream(pair.Near, new LinkModel(LinkOptions.Parse("rtt=1ms,rate=1Gbit,queue=4KiB")));
        var reader = Task.Factory.StartNew(() => stream.Read(new byte[1]), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        var writer = Task.Run(async () => await stream.WriteAsync(new byte[64 << 20]));
        await pair.Far.ReadExactlyAsync(new byte[1]);
        await stream.DisposeAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => reader);
        await Assert.ThrowsAnyAsync<Exception>(() => writer);
    }

    private static async Task EchoAsync(Stream stream, int count)
    {
        byte[] buffer = new byte[1];
        for (int i = 0; i < count; i++)
        {
            await ReadAllAsync(stream, buffer);
            await stream.WriteAsync(buffer);
        }
    }

    /// <summary>Stream.ReadExactlyAsync leaves the scheduler.</summary>
    private static async Task ReadAllAsync(Stream stream, Memory<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            int count = await stream.ReadAsync(buffer);
            Assert.NotEqual(0, count);
            buffer = buffer[count..];
        }
    }

    private static async Task Delay(VirtualTimeProvider clock, TimeSpan time)
        => await new LinkModel(new LinkOptions(), clock).WaitUntilAsync(time);

    private static (SimulatedLinkStream Stream, VirtualDuplexStream Far) Create(VirtualTimeProvider clock, string line)
    {
        var (near, far) = VirtualDuplexStream.CreatePair();
        return (new SimulatedLinkStream(near, new LinkModel(LinkOptions.Parse(line), clock), inner => ((VirtualDuplexStream)inner).CloseWrites()), far);
    }

    private static byte[] Bytes(int seed, int length)
    {
        byte[] bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
