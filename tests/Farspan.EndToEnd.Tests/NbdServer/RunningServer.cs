using Farspan.Backends;
using Farspan.Nbd.Server;
using Farspan.TestKit;
using Farspan.Transports;

namespace Farspan.EndToEnd.Tests.NbdServer;

/// <summary>A server on a Unix socket (and TCP where asked for) for programs to use; disposed with its exports' backends.</summary>
internal sealed class RunningServer : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly List<StreamListener> _listeners = [];
    private readonly List<Task> _serving = [];
    private readonly NbdExport[] _exports;

    private RunningServer(NbdExport[] exports, NbdServerOptions? options)
    {
        _exports = exports;
        Server = new Nbd.Server.NbdServer(exports, options);
    }

    public Nbd.Server.NbdServer Server { get; }

    /// <summary>A place for files of the test.</summary>
    public TemporaryDirectory Directory => _directory;

    public string SocketPath => _directory["nbd.sock"];

    /// <summary>The URI of the default export over the Unix socket.</summary>
    public string Uri => UriOf("");

    public static RunningServer Start(IBackend backend, NbdServerOptions? options = null)
        => Start([new NbdExport { Backend = backend }], options);

    public static RunningServer Start(NbdExport[] exports, NbdServerOptions? options = null)
    {
        var running = new RunningServer(exports, options);
        running.Listen(StreamEndpoint.Unix(running.SocketPath));
        return running;
    }

    public string UriOf(string export) => $"nbd+unix:///{System.Uri.EscapeDataString(export)}?socket={SocketPath}";

    /// <summary>Listens on one more endpoint and returns it, with its port.</summary>
    public StreamEndpoint Listen(StreamEndpoint endpoint)
    {
        var listener = StreamListener.Bind(endpoint);
        _listeners.Add(listener);
        _serving.Add(Server.ServeAsync(listener));
        return listener.Endpoint;
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        await Task.WhenAll(_serving);
        _listeners.ForEach(l => l.Dispose());
        foreach (var export in _exports)
            await export.Backend.DisposeAsync();
        _directory.Dispose();
    }
}
