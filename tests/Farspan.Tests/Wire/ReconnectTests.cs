using Farspan.Backends;
using Farspan.TestKit.Contracts;
using Farspan.Transports;
using Farspan.Wire.Client;
using Farspan.Wire.Protocol;
using Farspan.Wire.Server;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>What a client keeps over the loss of a connection and of a server.</summary>
public sealed class ReconnectTests
{
    private const int TimeLimit = 120_000;

    [Fact(Timeout = TimeLimit)]
    public async Task NewServerWithoutTheUnflushedWrites_IsGivenThemAgain()
    {
        const int Size = 1 << 20;
        await using var host = new WireHost(new MemoryBackend(Size));
        await using var client = await host.ConnectAsync();
        var model = new BackendModel(Size);
        await using (var durable = new MemoryBackend(Size))
        {
            for (int i = 0; i < 300; i++)
                await model.ApplyAsync(client, Step(i, Size));
            await client.FlushAsync();
            byte[] flushed = new byte[Size];
            await client.ReadAsync(0, flushed);
            for (int i = 300; i < 600; i++)
                await model.ApplyAsync(client, Step(i, Size));
            await host.StopAsync();
            await durable.WriteAsync(0, flushed);
            host.Start(durable);
            await model.CheckAllAsync(client, 65_536);
        }
    }

    [Fact(Timeout = TimeLimit)]
    public async Task SameServerAfterALostLine_IsNotGivenThemAgain()
    {
        var counting = new CountingBackend(1 << 20);
        await using var host = new WireHost(counting);
        var line = new BreakableConnector(host.Options.Endpoint);
        await using var client = await FarspanClientBackend.ConnectAsync(host.Options with { Connector = line.Connect, Connections = 1 });
        for (int i = 0; i < 50; i++)
            await client.WriteAsync(i * 4096, new byte[4096]);
        line.Break();
        await client.FlushAsync();
        Assert.Equal(50, counting.Writes);
        Assert.Equal(2, line.Connections);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task RequestsUnderWay_AreSentAgain_OnceTheirFirstCopiesHaveEnded()
    {
        var slow = new HeldBackend(1 << 20);
        await using var host = new WireHost(slow);
        var line = new BreakableConnector(host.Options.Endpoint);
        await using var client = await FarspanClientBackend.ConnectAsync(host.Options with { Connector = line.Connect });
        slow.Hold();
        var write = client.WriteAsync(0, new byte[] { 1, 2, 3 }).AsTask();
        await slow.Entered;
        line.Break();
        slow.Release();
        await write;
        await client.WriteAsync(0, new byte[] { 4, 5, 6 });
        byte[] bytes = new byte[3];
        await client.ReadAsync(0, bytes);
        Assert.Equal([4, 5, 6], bytes);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task LinesThatBreakUnderLoad_LoseNothing()
    {
        const int Size = 1 << 20;
        await using var host = new WireHost(new MemoryBackend(Size));
        var line = new BreakableConnector(host.Options.Endpoint);
        await using var client = await FarspanClientBackend.ConnectAsync(host.Options with { Connector = line.Connect, Connections = 3 });
        using var stop = new CancellationTokenSource();
        int rounds = 0;
        var breaking = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                byte[] one = new byte[1];
                await client.ReadAsync(0, one);
                line.Break();
                rounds++;
            }
        });
        await new BackendModelRunner(client, seed: 5, 1).RunConcurrentAsync(workers: 8, stepsEach: 60);
        await stop.CancelAsync();
        await breaking;
        Assert.True(rounds > 0);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task ServerThatStaysAway_FailsWhatWaits_AndCloseEnds()
    {
        await using var host = new WireHost(new MemoryBackend(1 << 20));
        await using var client = await FarspanClientBackend.ConnectAsync(host.Options with { ReconnectTimeout = TimeSpan.FromMilliseconds(1) });
        await host.StopAsync();
        var error = await Assert.ThrowsAsync<BackendException>(async () => await client.ReadAsync(0, new byte[512]));
        Assert.Equal(BackendError.Disconnected, error.Error);
        host.Start();
        while (true)
        {
            try
            {
                await client.ReadAsync(0, new byte[512]);
                break;
            }
            catch (BackendException lost) when (lost.Error == BackendError.Disconnected)
            {
                // Not back yet.
            }
        }
    }

    [Fact(Timeout = TimeLimit)]
    public async Task CancelledRequests_EndAtOnce_AndTheConnectionGoesOn()
    {
        var slow = new HeldBackend(1 << 20);
        await using var host = new WireHost(slow);
        await using var client = await host.ConnectAsync();
        slow.Hold();
        using var cancel = new CancellationTokenSource();
        var read = client.ReadAsync(0, new byte[4096], cancel.Token).AsTask();
        var write = client.WriteAsync(4096, new byte[4096], cancel.Token).AsTask();
        await slow.Entered;
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => read);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => write);
        slow.Release();
        await client.WriteAsync(0, new byte[] { 1 });
    }

    [Fact(Timeout = TimeLimit)]
    public async Task MoreUnflushedThanTheBudget_IsFlushedOnTheWay()
    {
        await using var host = new WireHost(new MemoryBackend(8 << 20));
        await using var client = await FarspanClientBackend.ConnectAsync(host.Options with { UnflushedBudget = 1 << 20 });
        byte[] data = BackendModel.Bytes(3, 8 << 20);
        var writes = Enumerable.Range(0, 128).Select(i => client.WriteAsync(i << 16, data.AsMemory(i << 16, 1 << 16)).AsTask()).ToArray();
        await Task.WhenAll(writes);
        byte[] back = new byte[8 << 20];
        await client.ReadAsync(0, back);
        Assert.Equal(data, back);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task SlowLine_CarriesEverything()
    {
        const int Size = 1 << 20;
        var model = new LinkModel(LinkOptions.Parse("rtt=4ms,rate=1Gbit"));
        await using var host = new WireHost(
            new MemoryBackend(Size), new FarspanServerOptions { WrapConnection = stream => new SimulatedLinkStream(stream, model) });
        await using var client = await host.ConnectAsync();
        await new BackendModelRunner(client, seed: 6, 1).RunConcurrentAsync(workers: 8, stepsEach: 30);
    }

    [Fact(Timeout = 10 * TimeLimit)]
    public async Task LineCutAtEachByteThatIsReceived_IsMadeAgain_AndNothingIsLost()
    {
        await using var host = new WireHost(new MemoryBackend(1 << 20));
        byte[] data = BackendModel.Bytes(9, 300);
        for (int end = 1; ; end++)
        {
            int connections = 0;
            var options = host.Options with
            {
                Connections = 1,
                Connector = () => new CutStream(BreakableConnector.Open(host.Options.Endpoint), Interlocked.Increment(ref connections) == 1 ? end : int.MaxValue),
            };
            if (end < ServerHello.Size)
            {
                await Assert.ThrowsAsync<BackendException>(async () => await FarspanClientBackend.ConnectAsync(options));
                continue;
            }

            // A cut right behind the hello is seen while connecting or later.
            if (end == ServerHello.Size)
                continue;

            await using (var client = await FarspanClientBackend.ConnectAsync(options))
            {
                var lease = await client.AcquireAsync("me");
                await lease.Backend.WriteAsync(end, data);
                byte[] back = new byte[300];
                await client.ReadAsync(end, back);
                Assert.Equal(data, back);
                await lease.Backend.FlushAsync();
                var extents = new List<Extent>();
                await client.ListExtentsAsync(0, 8192, 8, extents);
                await ((IZero)lease.Backend).ZeroAsync(end, 100);
                await ((ITrim)lease.Backend).TrimAsync(end + 100, 200);
                await lease.DisposeAsync();
                Assert.False(lease.Lost.IsCancellationRequested);
            }

            // Everything was said before it came to the cut.
            if (connections == 1)
                break;
        }
    }

    private static ModelOperation Step(int seed, int size)
    {
        var random = new Random(seed);
        int length = 1 + random.Next(20_000);
        var kind = random.Next(5) == 0 ? ModelOperationKind.Zero : ModelOperationKind.Write;
        return new ModelOperation(kind, random.Next(size - length), length, seed);
    }
}
