using Farspan.Backends;
using Farspan.Cli.Serving;
using Farspan.Nbd.Server;
using Farspan.Transports;

namespace Farspan.Cli.Mounting;

/// <summary>
/// Serves a mount to NBD clients as well: on a socket of its own, which <c>mount:TARGET</c> opens, and wherever <c>--listen</c> says. They
/// only read: the kernel keeps pages of the mounted file, and would not learn of what they write.
/// </summary>
internal sealed class MountExports : IAsyncDisposable
{
    private readonly List<StreamListener> _listeners = [];
    private readonly NbdServer _own;
    private readonly NbdServer _listened;

    private MountExports(IBackend backend, MountSettings settings)
    {
        NbdExport[] exports = [new NbdExport { Backend = backend, Description = $"mounted at {settings.Target}", ReadOnly = true }];
        _own = new NbdServer(exports);
        _listened = new NbdServer(exports, new NbdServerOptions { Tls = settings.Tls });
    }

    /// <summary>The URIs that clients use for what <c>--listen</c> says.</summary>
    public IReadOnlyList<string> Uris { get; private set; } = [];

    /// <summary>Listens, and serves from then on.</summary>
    /// <exception cref="IOException">An address cannot be listened on, or the certificates cannot be read.</exception>
    public static async Task<MountExports> StartAsync(IBackend backend, string socket, MountSettings settings)
    {
        var exports = new MountExports(backend, settings);
        try
        {
            exports.Listen(exports._own, StreamListener.Bind(StreamEndpoint.Unix(socket)));
            foreach (var listen in settings.Listen)
                exports.Listen(exports._listened, BackendService.Bind(listen));
            exports.Uris = [.. exports._listeners.Skip(1).Select(listener => ListenUri.ForClient(listener.Endpoint, "", settings.Tls is not null))];
            return exports;
        }
        catch
        {
            await exports.DisposeAsync();
            throw;
        }
    }

    /// <summary>Ends all connections, once what is in flight is answered or has taken too long.</summary>
    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_own.DisposeAsync().AsTask(), _listened.DisposeAsync().AsTask());
        foreach (var listener in _listeners)
            listener.Dispose();
    }

    private void Listen(NbdServer server, StreamListener listener)
    {
        _listeners.Add(listener);

        // Ends with the server, and throws nothing.
        _ = server.ServeAsync(listener);
    }
}
