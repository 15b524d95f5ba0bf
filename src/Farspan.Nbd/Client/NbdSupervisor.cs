using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>The background of a link: the timer that finds what takes too long, connecting again after a loss, more connections under load, closing.</summary>
internal sealed class NbdSupervisor : IAsyncDisposable
{
    private const int ReplayWidth = 16;

    private static readonly TimeSpan DrainTime = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(20);

    private readonly NbdLink _link;
    private readonly NbdClientOptions _options;
    private readonly CancellationTokenSource _stop = new();
    private readonly ITimer _timer;
    private readonly List<ClientConnection> _known = [];
    private readonly Task _loop;
    private readonly Task _room;
    private Task _growing = Task.CompletedTask;
    private Task? _closing;

    public NbdSupervisor(NbdLink link, ClientConnection first)
    {
        _link = link;
        _options = link.Options;
        _known.Add(first);
        long shortest = _options.ReconnectTimeout > TimeSpan.Zero
            ? Math.Min(_options.RequestTimeout.Ticks, _options.ReconnectTimeout.Ticks)
            : _options.RequestTimeout.Ticks;
        var period = TimeSpan.FromTicks(Math.Clamp(shortest / 8, TimeSpan.TicksPerMillisecond * 5, TimeSpan.TicksPerMillisecond * 250));
        _timer = _options.Clock.CreateTimer(static l => ((NbdLink)l!).Watch(), link, period, period);
        link.AllowGrowth(link.Export.Can(NbdTransmissionFlags.CanMultiConn));
        _loop = Task.Run(RunAsync);
        _room = Task.Run(KeepRoomAsync);
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
        await Task.WhenAll(_loop, _room, _growing);
        foreach (var connection in connections)
            connection.Disconnect();
        var ended = Task.WhenAll(_known.Select(static c => c.Ended));
        await WithinAsync(ended, limit.Token);
        foreach (var connection in _known)
            connection.Abort();
        await ended;
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
                else if (_link.WantsGrowth && _growing.IsCompleted)
                    _growing = GrowAsync(_stop.Token);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
    }

    private async Task ReconnectAsync(CancellationToken cancellationToken)
    {
        // What the other connections have under way ends first: an old write must not come after what is written again here.
        var retired = _link.Others();
        using (var limit = new CancellationTokenSource(DrainTime, _options.Clock))
        using (var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken))
            await WithinAsync(Task.WhenAll(retired.Select(static c => c.Drained)), either.Token);
        cancellationToken.ThrowIfCancellationRequested();
        foreach (var connection in retired)
        {
            if (connection.Drained.IsCompleted)
                connection.Disconnect();
            else
                connection.Abort();
            await connection.Drained;
            _link.Forget(connection);
        }

        var delay = FirstDelay;
        while (true)
        {
            try
            {
                var connection = await OpenAsync(cancellationToken);
                _link.Remember(connection);
                if (await TryReplayAsync(connection, cancellationToken) && _link.TryResume(connection))
                    return;
                _link.Forget(connection);
            }
            catch (BackendException error)
            {
                _link.NoteOutage(error, isFinal: error.Error == BackendError.Invalid);
            }

            await Task.Delay(delay, _options.Clock, cancellationToken);
            delay = TimeSpan.FromTicks(Math.Min(delay.Ticks * 2, _options.MaximumReconnectDelay.Ticks));
        }
    }

    /// <summary>Writes what no flush had covered again. False where that failed; then the connection is given up.</summary>
    private async Task<bool> TryReplayAsync(ClientConnection connection, CancellationToken cancellationToken)
    {
        var underway = new Queue<Task>();
        try
        {
            foreach (var piece in _link.PlanReplay())
            {
                if (underway.Count >= Math.Min(ReplayWidth, _options.RequestsPerConnection))
                    await underway.Dequeue();
                cancellationToken.ThrowIfCancellationRequested();
                underway.Enqueue(SendAgain(connection, piece));
            }

            foreach (var task in underway)
                await task;
            return true;
        }
        catch (BackendException error)
        {
            _link.NoteOutage(
                new BackendException(error.Error, $"Writes that were not flushed cannot be written again: {error.Message}", error), isFinal: false);
            connection.Abort();
            await Task.WhenAll(underway).ContinueWith(static t => t.Exception, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
            return false;
        }
    }

    private Task SendAgain(ClientConnection connection, ReplayPiece piece)
    {
        var request = _link.Rent();
        if (piece.IsZero)
            request.Prepare(NbdCommand.WriteZeroes, piece.Write.KeepsAllocated ? NbdCommandFlags.NoHole : NbdCommandFlags.None, piece.Offset, piece.Length);
        else
            request.PrepareWrite(piece.Offset, piece.Data);
        short version = request.Version;
        if (_link.TrySubmitTo(connection, request))
            return new ValueTask(request, version).AsTask();
        request.Discard();
        return Task.FromException(connection.Failure ?? new BackendException(BackendError.Disconnected, $"The connection to {_options.Name} was lost."));
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

        lock (_known)
        {
            _known.RemoveAll(static c => c.Ended.IsCompleted);
            _known.Add(connection);
        }

        connection.Start(_link);
        return connection;
    }

    private async Task GrowAsync(CancellationToken cancellationToken)
    {
        bool joined = false;
        try
        {
            var connection = await OpenAsync(cancellationToken);
            joined = _link.TryJoin(connection);
            if (!joined)
                connection.Disconnect();
        }
        catch (Exception error) when (error is BackendException or OperationCanceledException)
        {
            // The server may limit its connections: those there are go on.
        }

        _link.AllowGrowth(joined);
    }

    private async Task KeepRoomAsync()
    {
        try
        {
            while (true)
            {
                await _link.RoomWanted.ReadAsync(_stop.Token);
                var delay = FirstDelay;
                while (_link.NeedsRoom)
                {
                    var failure = await FlushForRoomAsync();
                    _link.NoteRoomFlush(failure);
                    if (failure is null)
                        continue;
                    await Task.Delay(delay, _options.Clock, _stop.Token);
                    delay = TimeSpan.FromTicks(Math.Min(delay.Ticks * 2, _options.MaximumReconnectDelay.Ticks));
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
    }

    private async Task<BackendException?> FlushForRoomAsync()
    {
        var request = _link.Rent();
        request.Prepare(NbdCommand.Flush, NbdCommandFlags.None, 0, 0);
        request.IsForRoom = true;
        short version = request.Version;
        _link.Submit(request);
        try
        {
            await new ValueTask(request, version);
            return null;
        }
        catch (BackendException error)
        {
            return error;
        }
        catch (ObjectDisposedException)
        {
            return null;
        }
    }
}
