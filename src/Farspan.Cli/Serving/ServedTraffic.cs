using Farspan.Transports;

namespace Farspan.Cli.Serving;

/// <summary>What <c>farspan serve</c> puts around each connection: a slow line, a count of the bytes.</summary>
internal sealed class ServedTraffic(ServeSettings settings, ServeOutput output)
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(100);

    private readonly TrafficMeter? _meter = settings.Traffic ? new TrafficMeter() : null;
    private readonly LinkModel? _line = settings.Line is null ? null : new LinkModel(settings.Line);

    /// <summary>What is said at the end.</summary>
    public ServeEvent Stopped => new("stopped") { Received = _meter?.Received, Sent = _meter?.Sent };

    /// <summary>Wraps a connection; null where there is nothing to put around it.</summary>
    public Func<Stream, Stream>? Wrapping => _meter is null && _line is null ? null : Wrap;

    /// <summary>Tells of the bytes as they are counted; returns when cancelled.</summary>
    public async Task ReportAsync(CancellationToken cancellationToken)
    {
        long reported = 0;
        using var timer = new PeriodicTimer(_meter is null ? Timeout.InfiniteTimeSpan : s_interval);
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

    private Stream Wrap(Stream connection)
    {
        if (_line is not null)
            connection = new SimulatedLinkStream(connection, _line);
        return _meter is null ? connection : new MeteredStream(connection, _meter);
    }
}
