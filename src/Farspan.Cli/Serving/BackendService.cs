using Farspan.Backends;
using Farspan.Backends.Leases;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Serving;

/// <summary>One <c>farspan serve</c>: opens the backend, listens, serves until told to stop, flushes.</summary>
internal sealed class BackendService(ServeSettings settings, ServeOutput output, ILogger logger)
{
    private readonly ServedTraffic _traffic = new(settings, output);

    /// <summary>Serves until cancelled; what was written is durable when it returns.</summary>
    /// <exception cref="BackendException">The backend cannot be opened, or the last flush failed.</exception>
    /// <exception cref="CommandException">An address cannot be listened on, or the last flush took too long.</exception>
    public async Task RunAsync(BackendRegistry registry, CancellationToken cancellationToken)
    {
        bool isReadOnly = settings.Exports.ReadOnly;
        var backend = await registry.OpenAsync(
            settings.Backend, new BackendOpenOptions { ReadOnly = isReadOnly, Timeout = settings.Timeout }, cancellationToken);
        bool isServed = false;
        try
        {
            await ServeAsync(backend, cancellationToken);
            isServed = true;
        }
        finally
        {
            await CloseAsync(backend, isServed && !backend.IsReadOnly);
        }

        output.Write(_traffic.Stopped);
    }

    private async Task ServeAsync(IBackend backend, CancellationToken cancellationToken)
    {
        using var listeners = ExportListeners.Bind(settings.Exports.Listen);
        var exports = settings.Exports with { LeaseFile = LeaseFile(), WrapConnection = _traffic.Wrapping };
        await using var servers = new ExportServers(backend, exports, logger);
        var serving = servers.ServeAsync(listeners, cancellationToken);
        output.Write(new ServeEvent("ready")
        {
            Uris = listeners.Uris(exports),
            Backend = settings.Backend,
            Length = backend.Length,
            ReadOnly = exports.ReadOnly || backend.IsReadOnly,
            ProcessId = Environment.ProcessId,
        });
        await _traffic.ReportAsync(cancellationToken);
        await serving;
    }

    private async Task CloseAsync(IBackend backend, bool flushes)
    {
        var closing = Task.Run(async () =>
        {
            await using (backend)
            {
                if (flushes)
                    await backend.FlushAsync(CancellationToken.None);
            }
        });
        try
        {
            await closing.WaitAsync(settings.CloseTimeout);
        }
        catch (TimeoutException error) when (!closing.IsCompleted)
        {
            throw new CommandException(
                $"{settings.Backend} was not flushed and closed within {settings.CloseTimeout.TotalSeconds:0.###} s: what clients wrote and did not flush may not be durable", error);
        }
    }

    // What outlives the server keeps its lease beside it, so that epochs rise from one start to the next.
    private string? LeaseFile()
    {
        var uri = BackendUri.Parse(settings.Backend);
        return uri.Scheme is "file" or "directory" && !settings.Exports.ReadOnly ? LocalLeasing.FileFor(uri.Path) : null;
    }
}
