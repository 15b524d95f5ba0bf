using System.Net.Sockets;
using Farspan.Backends;
using Farspan.Nbd.Server;
using Farspan.TestKit;
using Farspan.Transports;
using Xunit;

namespace Farspan.Nbd.Tests.Server;

/// <summary>A server, and clients that speak to it byte by byte. Disposing it checks that nothing was left behind.</summary>
internal sealed class ServerHarness : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly StreamListener _listener;
    private readonly List<Task> _handled = [];
    private readonly List<ScriptedClient> _clients = [];

    public ServerHarness(IBackend backend, NbdServerOptions? options = null)
        : this([new NbdExport { Backend = backend }], options)
    {
    }

    public ServerHarness(NbdExport[] exports, NbdServerOptions? options = null)
    {
        Server = new NbdServer(exports, options);
        _listener = StreamListener.Bind(StreamEndpoint.Unix(_directory["s"]));
    }

    public NbdServer Server { get; }

    /// <summary>Connects over a socket, or over a stream in memory, where the server takes another way.</summary>
    public ScriptedClient Connect(bool overSocket = true)
    {
        var (client, server) = overSocket ? SocketPair() : MemoryDuplex.Create();
        lock (_handled)
            _handled.Add(Server.HandleAsync(server));
        var scripted = new ScriptedClient(client);
        _clients.Add(scripted);
        return scripted;
    }

    /// <summary>Connects a client that the caller disposes. Any thread.</summary>
    public ScriptedClient ConnectUnowned()
    {
        var (client, server) = SocketPair();
        lock (_handled)
            _handled.Add(Server.HandleAsync(server));
        return new ScriptedClient(client);
    }

    /// <summary>Waits until every client's connection has ended at the server.</summary>
    public Task ClientsGoneAsync()
    {
        lock (_handled)
            return Task.WhenAll(_handled).WaitAsync(TimeSpan.FromSeconds(30));
    }

    public async ValueTask DisposeAsync()
    {
        _clients.ForEach(c => c.Dispose());
        await ClientsGoneAsync();
        Assert.Equal(0, Server.ConnectionCount);
        Assert.Equal(0, Server.BytesInFlight);
        Assert.Equal(0, Server.OutstandingBuffers);
        await Server.DisposeAsync();
        _listener.Dispose();
        _directory.Dispose();
    }

    private (Stream Client, Stream Server) SocketPair()
    {
        lock (_directory)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            socket.Connect(new UnixDomainSocketEndPoint(_directory["s"]));
            var server = _listener.AcceptAsync().AsTask().GetAwaiter().GetResult();
            return (new NetworkStream(socket, ownsSocket: true), server);
        }
    }
}
