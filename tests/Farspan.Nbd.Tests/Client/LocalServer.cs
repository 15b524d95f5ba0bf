using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.Nbd.Server;
using Farspan.TestKit;
using Farspan.Transports;

namespace Farspan.Nbd.Tests.Client;

/// <summary>Our own server on a Unix socket, with one backend that it owns.</summary>
internal sealed class LocalServer : IAsyncDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly IBackend _backend;
    private readonly NbdServer _server;
    private readonly StreamListener _listener;
    private readonly Task _serving;

    public LocalServer(IBackend backend, NbdServerOptions? options = null)
    {
        _backend = backend;
        _server = new NbdServer([new NbdExport { Backend = backend }], options);
        _listener = StreamListener.Bind(StreamEndpoint.Unix(_directory["s"]));
        _serving = _server.ServeAsync(_listener);
    }

    public NbdServer Server => _server;

    public NbdClientOptions Options => new() { Endpoint = _listener.Endpoint };

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _serving;
        await _server.DisposeAsync();
        await _backend.DisposeAsync();
        _directory.Dispose();
    }
}
