using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>The background of a link: the timer that finds what takes too long, connecting again after a loss, more connections under load, closing.</summary>
internal sealed class NbdSupervisor : IAsyncDisposable
{
    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(20);

    private readonly NbdLink _link;
    private readonly NbdClientOptions _options;
    private readonly CancellationTokenSource _stop = new();
    private readonly ITimer _timer;
    private readonly List<ClientConnection> _known = [];
    private readonly Task _loop;
    private Task? _closing;

    public NbdSupervisor(NbdLink link, ClientConnection first)
    {
        _link = link;
        _options = link.Options;
        _known.Add(first);
        var period = TimeSpan.FromTicks(Math.Clamp(
            Math.Min(_options.RequestTimeout.Ticks, Math.Max(_options.ReconnectTimeout.Ticks, TimeSpan.TicksPerMillisecond)) / 8,
            TimeSpan.TicksPerMillisecond * 5,
            TimeSpan.TicksPerMillisecond * 250));
        _timer = _options.Clock.CreateTimer(static l => ((NbdLink)l!).Watch(), link, period, period);
        _loop = Task.Run(RunAsync);
    }

    /// <summary>Ends the calls that are under way, within the options' time for closing, and takes leave from the server.</summary>
    public ValueTask DisposeAsync()
    {
        lock (_stop)
            return new ValueTask(_closing ??= CloseAsync());
    }

    private async Task CloseAsync()
    {
        var connections = _link.BeginClose();
        using var limit = new CancellationTokenSource(_options.CloseTimeout, _options.Clock);
        await WithinAsync(_link.Idle, limit.Token);
        await _stop.CancelAsync();
        await _loop;
        foreach (var connection in connections)
            connection.Disconnect();
        await WithinAsync(Task.WhenAll(_known.Select(c => c.Ended)), limit.Token);
        foreach (var connection in _known)
            connection.Abort();
        await Task.WhenAll(_known.Select(c => c.Ended));
        await _link.Idle;
        await _timer.DisposeAsync();
        _stop.Dispose();
    }

    private static async Task WithinAsync(Task task, CancellationToken limit)
    {
        try
        {
            await task.WaitAsync(limit);
        }
        catch (OperationCanceledException)
        {
            // The rest is ended by force.
        }
    }

    private async Task RunAsync()
    {
        try
        {
            while (true)
            {
                await _link.Changes.ReadAsync(_stop.Token);
                if (_link.IsClosing)
                    return;
                if (!_link.IsUp)
                    await ReconnectAsync(_stop.Token);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
    }

    private async Task ReconnectAsync(CancellationToken cancellationToken)
    {
        foreach (var retired in _link.Retired())
        {
            await retired.Drained.WaitAsync(cancellationToken);
            _link.Forget(retired);
            retired.Disconnect();
        }

        var delay = FirstDelay;
        while (true)
        {
            try
            {
                var connection = await ClientConnection.OpenAsync(_options, cancellationToken);
                if (connection.Export.DifferenceFrom(_link.Export) is { } difference)
                {
                    connection.Discard();
                    throw new BackendException(
                        BackendError.Invalid, $"{_options.Name} changed while the connection was lost: {difference}. Open it again.", isTransient: false);
                }

                _known.RemoveAll(c => c.Ended.IsCompleted);
                _known.Add(connection);
                connection.Start(_link);
                if (_link.TryAdd(connection))
                    return;
            }
            catch (BackendException error)
            {
                _link.NoteOutage(error, isFinal: error.Error == BackendError.Invalid);
            }

            await Task.Delay(delay, _options.Clock, cancellationToken);
            delay = TimeSpan.FromTicks(Math.Min(delay.Ticks * 2, _options.MaximumReconnectDelay.Ticks));
        }
    }
}
