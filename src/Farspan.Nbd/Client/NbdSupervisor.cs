using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>
/// The background of a link: the timer that finds what takes too long, connecting again after a loss, more connections under load, flushing
/// for room, closing. What fails there unexpectedly fails the link.
/// </summary>
internal sealed class NbdSupervisor : IAsyncDisposable
{
    /// <summary>The shortest pause between two attempts.</summary>
    internal static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(20);

    /// <summary>How long a server has to close a connection after good-bye.</summary>
    private static readonly TimeSpan GoodbyeTime = TimeSpan.FromSeconds(1);

    private readonly NbdLink _link;
    private readonly NbdClientOptions _options;
    private readonly CancellationTokenSource _stop = new();
    private readonly ITimer _timer;
    private readonly List<ClientConnection> _known = [];
    private readonly Task _loop;
    private readonly Task _growing;
    private readonly Task _room;
    private Task? _closing;
    private TimeSpan _pause;
    private long _resumedAt;

    public NbdSupervisor(NbdLink link, ClientConnection first)
    {
        _link = link;
        _options = link.Options;
        _known.Add(first);
        long shortest = _options.ReconnectTimeout > TimeSpan.Zero
            ? Math.Min(_options.RequestTimeout.Ticks, _options.ReconnectTimeout.Ticks)
            : _options.RequestTimeout.Ticks;
        var period = TimeSpan.FromTicks(Math.Clamp(shortest / 8, TimeSpan.TicksPerMillisecond * 5, TimeSpan.TicksPerMillisecond * 250));
        _timer = _options.Clock.CreateTimer(static s => ((NbdSupervisor)s!).Watch(), this, period, period);
        _loop = Task.Run(() => GuardAsync(RunAsync));
        _growing = Task.Run(() => GuardAsync(GrowAsync));
        _room = Task.Run(() => GuardAsync(() => new RoomKeeper(link).RunAsync(_stop.Token)));
    }

    /// <summary>The next pause after <paramref name="pause"/>.</summary>
    internal static TimeSpan Longer(TimeSpan pause, NbdClientOptions options)
    {
        var longer = pause == TimeSpan.Zero ? FirstDelay : pause * 2;
        return longer < options.MaximumReconnectDelay ? longer : options.MaximumReconnectDelay;
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
        try
        {
            using var limit = new CancellationTokenSource(_options.CloseTimeout, _options.Clock);
            await WithinAsync(_link.Idle, limit.Token);
            await _stop.CancelAsync();
            foreach (var connection in connections)
                connection.Disconnect();
            await WithinAsync(Task.WhenAll(connections.Select(static c => c.Ended)), limit.Token);
        }
        finally
        {
            // Nothing here waits for a server: what is connecting is left to its thread, and what is connected ends now.
            await _stop.CancelAsync();
            ClientConnection[] known;
            lock (_known)
                known = [.. _known];
            foreach (var connection in known)
                connection.Break(LinkFailure.Closed(_options));
            await Task.WhenAll(known.Select(static c => c.Ended));
            await Task.WhenAll(_loop, _growing, _room);
            await _timer.DisposeAsync();
            _stop.Dispose();
        }
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

    private void Watch()
    {
        try
        {
            _link.Watch();
        }
        catch (Exception error)
        {
            _link.Fault(LinkFailure.Fault(_options, error));
        }
    }

    /// <summary>Runs a loop until the end of the link; a failure of the loop is one of the link.</summary>
    private async Task GuardAsync(Func<Task> loop)
    {
        try
        {
            await loop();
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
        catch (Exception error)
        {
            _link.Fault(LinkFailure.Fault(_options, error));
        }
    }

    private async Task RunAsync()
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

    private async Task ReconnectAsync(CancellationToken cancellationToken)
    {
        await RetireAsync(cancellationToken);

        // A connection that did not last was no success.
        if (_options.Clock.GetElapsedTime(_resumedAt) >= _options.MaximumReconnectDelay)
            _pause = TimeSpan.Zero;
        var replay = new NbdReplay(_link);
        while (true)
        {
            if (_pause > TimeSpan.Zero)
                await Task.Delay(_pause, _options.Clock, cancellationToken);
            _pause = Longer(_pause, _options);
            try
            {
                var connection = await OpenAsync(cancellationToken);
                _link.Remember(connection);
                bool isReady = await replay.RunAsync(connection, cancellationToken);
                if (isReady && _link.TryResume(connection))
                {
                    _resumedAt = _options.Clock.GetTimestamp();
                    return;
                }

                _link.Forget(connection);
                await connection.Ended.WaitAsync(cancellationToken);
            }
            catch (BackendException error)
            {
                _link.NoteOutage(error, isFinal: error.Error == BackendError.Invalid);
            }
        }
    }

    /// <summary>
    /// Lets the connections that are left end what they have: a write that is under way there must not come after what is written again or
    /// anew. That lasts as long as the server gives signs of life; a silent connection is ended by the timer.
    /// </summary>
    private async Task RetireAsync(CancellationToken cancellationToken)
    {
        foreach (var connection in _link.Others())
        {
            if (_link.ChangesUnderWay(connection))
                await connection.Drained.WaitAsync(cancellationToken);
            await LeaveAsync(connection, cancellationToken);
            _link.Forget(connection);
        }
    }

    /// <summary>Says good-bye on a connection and sees it end.</summary>
    private async Task LeaveAsync(ClientConnection connection, CancellationToken cancellationToken)
    {
        if (connection.Drained.IsCompleted)
            connection.Disconnect();
        else
            connection.Break(LinkFailure.Lost(_options));
        using (var limit = new CancellationTokenSource(GoodbyeTime, _options.Clock))
        using (var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken))
            await WithinAsync(connection.Ended, either.Token);
        connection.Break(LinkFailure.Lost(_options));
        await connection.Ended;
        cancellationToken.ThrowIfCancellationRequested();
    }

    private async Task<ClientConnection> OpenAsync(CancellationToken cancellationToken)
    {
        var connection = await ClientConnection.OpenAsync(_options, cancellationToken);
        if (connection.Export.DifferenceFrom(_link.Export) is { } difference)
        {
            connection.Discard();
            throw new BackendException(
                BackendError.Invalid, $"{_options.Name} is not what it was when it was opened: {difference}. Open it again.", isTransient: false);
        }

        connection.Start(_link);
        lock (_known)
        {
            _known.RemoveAll(static c => c.Ended.IsCompleted);
            _known.Add(connection);
        }

        if (cancellationToken.IsCancellationRequested)
        {
            connection.Break(LinkFailure.Closed(_options));
            cancellationToken.ThrowIfCancellationRequested();
        }

        return connection;
    }

    private async Task GrowAsync()
    {
        while (true)
        {
            await _link.GrowthWanted.ReadAsync(_stop.Token);
            if (_link.WantsGrowth)
                await GrowByOneAsync(_stop.Token);
        }
    }

    /// <summary>
    /// Opens one more connection. It is used only after every connection in use has answered something that was asked after the new one was
    /// there: else it might lead to a server that took the place of one that is silently gone.
    /// </summary>
    private async Task GrowByOneAsync(CancellationToken cancellationToken)
    {
        long outages = _link.InUse().Outages;
        bool joined = false;
        try
        {
            var connection = await OpenAsync(cancellationToken);
            joined = connection.Export.Can(NbdTransmissionFlags.CanMultiConn)
                && (await Task.WhenAll(_link.InUse().Connections.Select(LivesAsync))).All(static lives => lives)
                && _link.TryJoin(connection, outages);
            if (!joined)
            {
                _link.Retire(connection);
                await LeaveAsync(connection, cancellationToken);
            }
        }
        catch (BackendException)
        {
            // The server may limit its connections: those there are go on.
        }
        finally
        {
            _link.EndGrowth(joined, outages);
        }
    }

    private async Task<bool> LivesAsync(ClientConnection connection)
    {
        var request = _link.Rent();
        request.PrepareRead(0, new byte[(int)Math.Min(_link.Export.Size, _link.Export.MinimumBlock)]);
        try
        {
            await _link.RunOnAsync(connection, request);
            return true;
        }
        catch (BackendException error)
        {
            // A refusal is an answer.
            return error.Error != BackendError.TimedOut && !connection.IsLost;
        }
    }
}
