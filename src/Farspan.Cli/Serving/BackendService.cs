using Farspan.Backends;
using Farspan.Backends.Leases;
using Farspan.Nbd.Server;
using Farspan.Transports;
using Farspan.Wire.Server;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Serving;

/// <summary>One <c>farspan serve</c>: opens the backend, listens, serves until told to stop, flushes.</summary>
internal sealed class BackendService(ServeSettings settings, ServeOutput output, ILogger logger)
{
    private static readonly TimeSpan TrafficInterval = TimeSpan.FromMilliseconds(100);

    private readonly TrafficMeter? _meter = settings.Traffic ? new TrafficMeter() : null;
    private readonly LinkModel? _line = settings.Line is null ? null : new LinkModel(settings.Line);

    /// <summary>Serves until cancelled; what was written is durable when it returns.</summary>
    /// <exception cref="BackendException">The backend cannot be opened, or the last flush failed.</exception>
    /// <exception cref="IOException">An address cannot be listened on.</exception>
    public async Task RunAsync(BackendRegistry registry, CancellationToken cancellationToken)
    {
        await using var backend = await registry.OpenAsync(
            settings.Backend, new BackendOpenOptions { ReadOnly = settings.ReadOnly }, cancellationToken);
        await using var own = settings.Listen.Any(static listen => listen.IsFarspan) ? FarspanServer(backend) : null;

        // A lease that a client of our own wire holds keeps NBD's writers out too.
        var export = new NbdExport
        {
            Name = settings.Name, Description = settings.Description, Backend = own?.Gated(settings.Name) ?? backend, ReadOnly = settings.ReadOnly,
        };
        var listeners = new List<StreamListener>();
        try
        {
            foreach (var listen in settings.Listen)
                listeners.Add(Bind(listen));
            await using (var server = new NbdServer([export], Options(), logger))
            {
                var serving = new List<Task>();
                for (int i = 0; i < listeners.Count; i++)
                    serving.Add(settings.Listen[i].IsFarspan ? own!.ServeAsync(listeners[i], cancellationToken) : server.ServeAsync(listeners[i], cancellationToken));
                output.Write(Ready(listeners, backend));
                await ReportTrafficAsync(cancellationToken);
                await Task.WhenAll(serving);
            }

            if (own is not null)
                await own.StopAsync(CancellationToken.None);
            if (!backend.IsReadOnly)
                await backend.FlushAsync(CancellationToken.None);
            output.Write(new ServeEvent("stopped") { Received = _meter?.Received, Sent = _meter?.Sent });
        }
        finally
        {
            foreach (var listener in listeners)
                listener.Dispose();
        }
    }

    internal static StreamListener Bind(ListenUri listen)
    {
        try
        {
            return StreamListener.Bind(listen.Endpoint);
        }
        catch (IOException error)
        {
            throw new CommandException($"{error.Message.TrimEnd('.')}; choose another address with --listen", error);
        }
    }

    private FarspanServer FarspanServer(IBackend backend)
        => new(
            [new FarspanExport { Name = settings.Name, Description = settings.Description, Backend = backend, ReadOnly = settings.ReadOnly, LeaseFile = LeaseFile() }],
            new FarspanServerOptions
            {
                Tls = settings.Tls?.Load(),
                MaximumConnections = settings.MaximumClients,
                WrapConnection = _meter is null && _line is null ? null : Wrap,
                Log = message => logger.LogInformation("{Message}", message),
            });

    // What outlives the server keeps its lease beside it, so that epochs rise from one start to the next.
    private string? LeaseFile()
    {
        var uri = BackendUri.Parse(settings.Backend);
        return uri.Scheme is "file" or "directory" && !settings.ReadOnly ? LocalLeasing.FileFor(uri.Path) : null;
    }

    private NbdServerOptions Options() => new()
    {
        Tls = settings.Tls,
        MaximumConnections = settings.MaximumClients,
        WrapConnection = _meter is null && _line is null ? null : Wrap,
    };

    private Stream Wrap(Stream connection)
    {
        if (_line is not null)
            connection = new SimulatedLinkStream(connection, _line);
        return _meter is null ? connection : new MeteredStream(connection, _meter);
    }

    private ServeEvent Ready(List<StreamListener> listeners, IBackend backend) => new("ready")
    {
        Uris = [.. listeners.Zip(settings.Listen, (listener, listen) => ListenUri.ForClient(listener.Endpoint, settings.Name, settings.Tls is not null, listen.IsFarspan))],
        Backend = settings.Backend,
        Length = backend.Length,
        ReadOnly = settings.ReadOnly || backend.IsReadOnly,
        ProcessId = Environment.ProcessId,
    };

    // Returns when serving is over.
    private async Task ReportTrafficAsync(CancellationToken cancellationToken)
    {
        long reported = 0;
        using var timer = new PeriodicTimer(_meter is null ? Timeout.InfiniteTimeSpan : TrafficInterval);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                long now = _meter!.Received + _meter.Sent;
                if (now == reported)
                    continue;
                reported = now;
                output.Write(new ServeEvent("traffic") { Received = _meter.Received, Sent = _meter.Sent });
            }
        }
        catch (OperationCanceledException)
        {
            // Told to stop.
        }
    }
}
