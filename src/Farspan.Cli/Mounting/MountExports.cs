using Farspan.Backends;
using Farspan.Cli.Serving;
using Farspan.Nbd.Server;
using Farspan.Transports;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Mounting;

/// <summary>
/// Serves a mount to clients: on a socket of its own, which <c>mount:TARGET</c> opens for reading, and wherever <c>--listen</c> says. Beside
/// a mounted file they only read there too: the kernel keeps pages of it, and would not learn of what they write.
/// </summary>
internal sealed class MountExports : IAsyncDisposable
{
    private readonly StreamListener _listener;
    private readonly NbdServer _own;
    private readonly ExportListeners _listeners;
    private readonly ExportServers? _listened;
    private readonly Lazy<Task> _disposal;

    private MountExports(IBackend backend, MountRecord record, ExportSettings settings, ExportListeners listeners, ILogger? logger)
    {
        _own = new NbdServer([new NbdExport { Backend = backend, Description = $"mounted at {record.Target}", ReadOnly = true }]);
        _listeners = listeners;
        _listened = settings.Listen.Count == 0 ? null : new ExportServers(backend, settings, logger);
        Uris = listeners.Uris(settings);
        _listener = StreamListener.Bind(StreamEndpoint.Unix(record.ExportSocket));
        _disposal = new Lazy<Task>(DisposeOnceAsync);
    }

    /// <summary>The URIs that clients use for what <c>--listen</c> says.</summary>
    public IReadOnlyList<string> Uris { get; }

    /// <summary>Serves from now on; the listeners belong to it then.</summary>
    /// <exception cref="IOException">The certificates cannot be read, or the socket cannot be made.</exception>
    public static MountExports Start(IBackend backend, MountRecord record, ExportSettings settings, ExportListeners listeners, ILogger? logger)
    {
        var exports = new MountExports(backend, record, settings, listeners, logger);

        // They end with the servers, and throw nothing.
        _ = exports._own.ServeAsync(exports._listener);
        _ = exports._listened?.ServeAsync(listeners);
        return exports;
    }

    /// <summary>Ends all connections, once what is in flight is answered or has taken too long.</summary>
    public ValueTask DisposeAsync() => new(_disposal.Value);

    private async Task DisposeOnceAsync()
    {
        var own = _own.DisposeAsync().AsTask();
        await (_listened?.DisposeAsync().AsTask() ?? Task.CompletedTask);
        await own;
        _listener.Dispose();
        _listeners.Dispose();
    }
}
