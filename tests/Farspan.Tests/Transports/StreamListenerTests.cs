using System.Net.Sockets;
using Farspan.Backends;
using Farspan.TestKit;
using Farspan.Transports;
using Xunit;

namespace Farspan.Tests.Transports;

public sealed class StreamListenerTests
{
    private static readonly TimeSpan Wait = TimeSpan.FromSeconds(20);

    [Theory(Timeout = 120_000)]
    [InlineData("127.0.0.1:0")]
    [InlineData("[::1]:0")]
    [InlineData("localhost:0")]
    [InlineData("unix")]
    public async Task DialedStream_CarriesBytesBothWays(string where)
    {
        using var directory = new TemporaryDirectory();
        using var listener = StreamListener.Bind(where == "unix" ? StreamEndpoint.Unix(directory["s"]) : StreamEndpoint.Parse(where, 1));
        var accepting = listener.AcceptAsync();
        await using var client = await StreamDialer.ConnectAsync(listener.Endpoint, Wait);
        await using var server = await accepting;
        byte[] buffer = new byte[1];
        client.WriteByte(1);
        await server.ReadExactlyAsync(buffer);
        Assert.Equal(1, buffer[0]);
        server.WriteByte(2);
        await client.ReadExactlyAsync(buffer);
        Assert.Equal(2, buffer[0]);
        Assert.Equal(where != "unix", listener.Endpoint.Port > 0);
        if (where != "unix")
            Assert.True(client.Socket.NoDelay && server.Socket.NoDelay);
    }

    [Fact(Timeout = 120_000)]
    public async Task Dispose_RemovesSocketFile_ButClosingAConnectionDoesNot()
    {
        using var directory = new TemporaryDirectory();
        var listener = StreamListener.Bind(StreamEndpoint.Unix(directory["s"]));
        await using (await StreamDialer.ConnectAsync(listener.Endpoint, Wait))
        await using (await listener.AcceptAsync())
        {
        }

        Assert.True(File.Exists(directory["s"]));
        listener.Dispose();
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => listener.AcceptAsync().AsTask());
    }

    [Fact(Timeout = 120_000)]
    public async Task StaleSocketFile_IsReplaced()
    {
        using var directory = new TemporaryDirectory();
        LeaveStaleSocket(directory["s"]);
        using var listener = StreamListener.Bind(StreamEndpoint.Unix(directory["s"]));
        await using var client = await StreamDialer.ConnectAsync(listener.Endpoint, Wait);
        Assert.Equal([directory["s"]], Directory.GetFileSystemEntries(directory.Path));
    }

    [Fact(Timeout = 120_000)]
    public async Task StaleSocketFile_TakenByManyAtOnce_OneWins()
    {
        for (int round = 0; round < 20; round++)
        {
            using var directory = new TemporaryDirectory();
            LeaveStaleSocket(directory["s"]);
            using var start = new Barrier(4);
            var listeners = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Factory.StartNew(
                () =>
                {
                    start.SignalAndWait();
                    try
                    {
                        return StreamListener.Bind(StreamEndpoint.Unix(directory["s"]));
                    }
                    catch (IOException)
                    {
                        return null;
                    }
                },
                TaskCreationOptions.LongRunning)));
            var winner = Assert.Single(listeners.OfType<StreamListener>());
            await using var client = await StreamDialer.ConnectAsync(winner.Endpoint, Wait);
            winner.Dispose();
        }
    }

    [Fact]
    public void LiveSocketFile_IsLeftAlone()
    {
        using var directory = new TemporaryDirectory();
        using var first = StreamListener.Bind(StreamEndpoint.Unix(directory["s"]));
        var error = Assert.Throws<IOException>(() => StreamListener.Bind(StreamEndpoint.Unix(directory["s"])));
        Assert.Contains("another server", error.Message, StringComparison.Ordinal);
        Assert.True(File.Exists(directory["s"]));
    }

    [Theory]
    [InlineData("")]
    [InlineData("content")]
    public void OrdinaryFileInTheWay_IsLeftAlone(string content)
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllText(directory["s"], content);
        var error = Assert.Throws<IOException>(() => StreamListener.Bind(StreamEndpoint.Unix(directory["s"])));
        Assert.Contains("no socket", error.Message, StringComparison.Ordinal);
        Assert.Equal(content, File.ReadAllText(directory["s"]));
    }

    [Fact]
    public void PortInUse_IsOneClearError()
    {
        using var first = StreamListener.Bind(StreamEndpoint.Parse("127.0.0.1:0", 1));
        var error = Assert.Throws<IOException>(() => StreamListener.Bind(first.Endpoint));
        Assert.Contains(first.Endpoint.ToString(), error.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = 120_000)]
    public async Task NobodyListens_IsDisconnected()
    {
        using var directory = new TemporaryDirectory();
        var error = await Assert.ThrowsAsync<BackendException>(
            () => StreamDialer.ConnectAsync(StreamEndpoint.Unix(directory["none"]), Wait).AsTask());
        Assert.Equal(BackendError.Disconnected, error.Error);
        Assert.True(error.IsTransient);
    }

    [Fact(Timeout = 120_000)]
    public async Task FullBacklog_IsTransient()
    {
        using var directory = new TemporaryDirectory();
        using var deaf = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        deaf.Bind(new UnixDomainSocketEndPoint(directory["s"]));
        deaf.Listen(0);
        var connections = new List<NetworkStream>();
        var error = await Assert.ThrowsAsync<BackendException>(async () =>
        {
            while (connections.Count < 100)
                connections.Add(await StreamDialer.ConnectAsync(StreamEndpoint.Unix(directory["s"]), TimeSpan.FromMilliseconds(200)));
        });
        Assert.True(error.IsTransient);
        connections.ForEach(c => c.Dispose());
    }

    [Fact(Timeout = 120_000)]
    public async Task CancelledDial_ThrowsCancellation()
        => await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => StreamDialer.ConnectAsync(StreamEndpoint.Parse("127.0.0.1:1", 1), Wait, cancellationToken: new CancellationToken(canceled: true)).AsTask());

    private static void LeaveStaleSocket(string path)
    {
        string bound = path + ".b";
        using (var dead = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            dead.Bind(new UnixDomainSocketEndPoint(bound));
            File.Move(bound, path);
        }
    }
}
