using System.Net.Sockets;
using Farspan.Backends;
using Farspan.TestKit.Contracts;
using Farspan.Transports;
using Farspan.Wire.Client;
using Farspan.Wire.Protocol;
using Farspan.Wire.Server;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>Who puts checksums on payloads, and what is received straight into the store where nobody does.</summary>
public sealed class WireInPlaceTests
{
    private const int TimeLimit = 60_000;
    private const int Long = 300_000;

    [Theory(Timeout = TimeLimit)]
    [InlineData(0)]
    [InlineData((int)WireCapabilities.PayloadChecksums)]
    public async Task UnixSocket_HasChecksums_WhereTheClientAsks(int wishes)
    {
        await using var host = new WireHost(new MemoryBackend(1 << 20));
        using var socket = BreakableConnector.Open(host.Options.Endpoint);
        Assert.Equal((WireCapabilities)wishes, Greet(socket, (WireCapabilities)wishes).Capabilities & WireCapabilities.PayloadChecksums);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task UnknownLine_HasChecksums_AndAServerThatDoesNotGrantThemIsLeft()
    {
        var options = new FarspanClientOptions { Endpoint = StreamEndpoint.Unix("/none"), Connector = static () => new CannedStream(WireMessages.Answer(hasChecksums: false)) };
        var error = await Assert.ThrowsAsync<BackendException>(async () => await FarspanClientBackend.ConnectAsync(options));
        Assert.Equal(BackendError.Protocol, error.Error);
        Assert.Contains("checksums", error.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = TimeLimit)]
    public async Task SlowWriter_HoldsUpNoLease_AndIsRefusedInTheMiddle()
    {
        var store = new MemoryBackend(1 << 20);
        await using var host = new WireHost(store);
        using var socket = BreakableConnector.Open(host.Options.Endpoint);
        Greet(socket, WireCapabilities.None);
        byte[] data = BackendModel.Bytes(1, Long);
        byte[] request = WireMessages.Write(0, data, id: 5);
        const int Half = Long / 2;
        Send(socket, request.AsSpan(0, WireFrame.Size + Half));
        byte[] begin = new byte[Half];
        while (!begin.AsSpan().SequenceEqual(data.AsSpan(0, Half)))
        {
            await Task.Yield();
            await store.ReadAsync(0, begin);
        }

        await using var other = await host.ConnectAsync();
        await using var lease = await other.AcquireAsync("other");
        Send(socket, request.AsSpan(WireFrame.Size + Half));
        Assert.True(WireFrame.TryReadReply(Receive(socket, WireFrame.Size), out var reply));
        Assert.Equal((5u, WireStatus.Leased), (reply.Id, reply.Status));
        byte[] end = new byte[Long - Half];
        await store.ReadAsync(Half, end);
        Assert.All(end, static one => Assert.Equal(0, one));
        Receive(socket, reply.PayloadLength);

        // The connection goes on.
        Send(socket, WireMessages.Request(WireOperation.Ping, id: 6));
        Assert.True(WireFrame.TryReadReply(Receive(socket, WireFrame.Size), out reply));
        Assert.Equal((6u, WireStatus.Done), (reply.Id, reply.Status));
    }

    [Fact(Timeout = TimeLimit)]
    public async Task TcpConnection_CarriesLongTransfersWithChecksums()
    {
        await using var store = new MemoryBackend(4 << 20);
        await using var server = new FarspanServer([new FarspanExport { Backend = store }]);
        using var listener = StreamListener.Bind(StreamEndpoint.Tcp("127.0.0.1", 0));
        var serving = server.ServeAsync(listener);
        await using (var client = await FarspanClientBackend.ConnectAsync(new FarspanClientOptions { Endpoint = listener.Endpoint }))
            await new BackendModelRunner(client, seed: 8, 1).RunConcurrentAsync(workers: 8, stepsEach: 40);
        byte[] data = BackendModel.Bytes(2, 3 << 20);
        await using (var client = await FarspanClientBackend.ConnectAsync(new FarspanClientOptions { Endpoint = listener.Endpoint }))
        {
            await client.WriteAsync(5, data);
            byte[] back = new byte[data.Length];
            await client.ReadAsync(5, back);
            Assert.Equal(data, back);
        }

        listener.Dispose();
        await serving;
    }

    private static ServerHello Greet(Socket socket, WireCapabilities wishes)
    {
        Send(socket, WireMessages.Hello(wishes));
        Assert.True(ServerHello.TryRead(Receive(socket, ServerHello.Size), out var hello));
        Receive(socket, hello.TextLength);
        return hello;
    }

    private static void Send(Socket socket, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
            bytes = bytes[socket.Send(bytes)..];
    }

    private static byte[] Receive(Socket socket, int length)
    {
        byte[] bytes = new byte[length];
        for (int done = 0; done < length;)
        {
            int count = socket.Receive(bytes.AsSpan(done));
            Assert.NotEqual(0, count);
            done += count;
        }

        return bytes;
    }
}
