using Farspan.Backends;
using Farspan.Nbd.Server;
using Farspan.Transports;
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
        var export = new NbdExport { Name = settings.Name, Description = settings.Description, Backend = backend, ReadOnly = settings.ReadOnly };
        var listeners = new List<StreamListener>();
        try
        {
            foreach (var listen in settings.Listen)
                listeners.Add(Bind(listen));
            await using (var server = new NbdServer([export], Options(), logger))
            {
                var serving = listeners.ConvertAll(listener => server.ServeAsync(listener, cancellationToken));
                output.Write(Ready(listeners, backend));
                await ReportTrafficAsync(cancellationToken);
                await Task.WhenAll(serving);
            }

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
        Uris = listeners.ConvertAll(listener => ListenUri.ForClient(listener.Endpoint, settings.Name, settings.Tls is not null)),
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
