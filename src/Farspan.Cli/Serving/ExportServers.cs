using Farspan.Backends;
using Farspan.Nbd.Server;
using Farspan.Wire.Server;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Serving;

/// <summary>Serves one backend at every listener, by NBD and by Farspan's own wire. Owns neither the backend nor the listeners.</summary>
internal sealed class ExportServers : IAsyncDisposable
{
    private readonly NbdServer _nbd;
    private readonly FarspanServer? _own;

    /// <summary>Makes the servers; they serve nobody yet.</summary>
    /// <exception cref="IOException">The certificates cannot be read, or the lease file.</exception>
    public ExportServers(IBackend backend, ExportSettings settings, ILogger? logger = null)
    {
        if (settings.Listen.Any(static listen => listen.IsFarspan))
        {
            var export = new FarspanExport
            {
                Name = settings.Name, Description = settings.Description, Backend = backend, ReadOnly = settings.ReadOnly, LeaseFile = settings.LeaseFile,
            };
            _own = new FarspanServer([export], new FarspanServerOptions
            {
                Tls = settings.Tls?.Load(),
                MaximumConnections = settings.MaximumClients,
                WrapConnection = settings.WrapConnection,
                Log = logger is null ? null : message => logger.LogInformation("{Message}", message),
            });
        }

        // A lease that a client of our own wire holds keeps NBD's writers out too.
        _nbd = new NbdServer(
            [
                new NbdExport
                {
                    Name = settings.Name, Description = settings.Description, Backend = _own?.Gated(settings.Name) ?? backend, ReadOnly = settings.ReadOnly,
                },
            ],
            new NbdServerOptions { Tls = settings.Tls, MaximumConnections = settings.MaximumClients, WrapConnection = settings.WrapConnection },
            logger);
    }

    /// <summary>Accepts clients until cancelled or stopped; then returns, while the accepted ones go on.</summary>
    public Task ServeAsync(ExportListeners listeners, CancellationToken cancellationToken = default)
        => Task.WhenAll(listeners.Bound.Select(bound => bound.Uri.IsFarspan
            ? _own!.ServeAsync(bound.Listener, cancellationToken)
            : _nbd.ServeAsync(bound.Listener, cancellationToken)));

    /// <summary>Ends all connections, once what is in flight is answered or has taken too long.</summary>
    public async ValueTask DisposeAsync()
    {
        var nbd = _nbd.DisposeAsync().AsTask();
        await (_own?.DisposeAsync().AsTask() ?? Task.CompletedTask);
        await nbd;
    }
}
