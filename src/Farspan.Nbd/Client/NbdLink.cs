using System.Threading.Channels;
using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>
/// What holds an export open: its connections, the requests that wait for a place, and what becomes of requests when a connection is lost.
/// One gate guards the state of the link, of its connections and of the requests; nothing waits, sends or receives under it.
/// </summary>
internal sealed partial class NbdLink
{
    private const int PooledRequests = 256;

    private readonly NbdClientOptions _options;
    private readonly RequestQueue _waiting = new();
    private readonly List<ClientConnection> _connections = [];
    private readonly List<ClientConnection> _others = [];
    private readonly Stack<NbdRequest> _pool = new();
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private BackendException? _fault;
    private long _sequence;
    private int _outstanding;
    private bool _isUp;
    private bool _isClosing;

    public NbdLink(NbdClientOptions options, ClientConnection first)
    {
        _options = options;
        Export = first.Export;
        if (Export.Can(NbdTransmissionFlags.SendFlush) && !Export.Can(NbdTransmissionFlags.ReadOnly) && !options.ReadOnly)
        {
            _tracksWrites = true;
            _unflushed = options.UnflushedBudget > 0 ? new UnflushedWrites((int)options.UnflushedBudget) : null;
        }

        _mayGrow = _canMultiConnect = Export.Can(NbdTransmissionFlags.CanMultiConn);
        _connections.Add(first);
        _isUp = true;

        // Last: from here on the connection may be lost.
        first.Start(this);
    }

    /// <summary>Guards all state.</summary>
    public Lock Gate { get; } = new();

    /// <summary>The export as it was when it was opened.</summary>
    public ExportDescription Export { get; }

    public NbdClientOptions Options => _options;

    public bool IsUp => Volatile.Read(ref _isUp);

    public bool IsClosing => Volatile.Read(ref _isClosing);

    /// <summary>Completes when closing and no caller waits.</summary>
    public Task Idle => _idle.Task;

    /// <summary>A request to fill and submit.</summary>
    public NbdRequest Rent()
    {
        lock (_pool)
        {
            if (_pool.TryPop(out var request))
                return request;
        }

        return new NbdRequest(this);
    }

    public void Recycle(NbdRequest request)
    {
        lock (_pool)
        {
            if (_pool.Count < PooledRequests)
                _pool.Push(request);
        }
    }

    /// <summary>Submits a request for a caller and lets his token end the wait. Throws nothing.</summary>
    /// <param name="request">What to ask; it belongs to the link from now on.</param>
    /// <param name="only">For FLUSH: the connection that it is for, where others have theirs.</param>
    /// <param name="cancellationToken">The caller's.</param>
    public ValueTask RunAsync(NbdRequest request, ClientConnection? only, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested && request.Kept is null)
        {
            request.Discard();
            return ValueTask.FromCanceled(cancellationToken);
        }

        short version = request.Version;
        Submit(request, only);
        request.Watch(cancellationToken);
        return new ValueTask(request, version);
    }

    /// <summary>Sends a request on one connection, which need not be in use. A loss of it fails the request. Throws nothing.</summary>
    public ValueTask RunOnAsync(ClientConnection connection, NbdRequest request)
    {
        short version = request.Version;
        request.FailsOnLoss = true;
        ClientConnection? pump = null;
        BackendException? failure = null;
        lock (Gate)
        {
            Begin(request);
            if (connection.IsLost || connection.IsRetired)
            {
                failure = LinkFailure.Copy(connection.Failure ?? LinkFailure.Lost(_options));
                MarkDone(request);
            }
            else
            {
                Put(connection, request, ref pump);
            }
        }

        pump?.Pump();
        if (failure is not null)
            request.Complete(failure);
        return new ValueTask(request, version);
    }

    /// <summary>Tells the caller at once that his request failed or was cancelled; what the server still sends for it is read past.</summary>
    public void Abandon(NbdRequest request, Exception failure)
    {
        lock (Gate)
            GiveUp(request, failure);
    }

    /// <summary>The answer came, and the slot is free. Gate held. True where the caller completes the request after the gate.</summary>
    public bool Settle(NbdRequest request, ref Exception? failure, ref ClientConnection? pump)
    {
        switch (request.Command)
        {
            case NbdCommand.Flush:
                if (!SettleFlush(request, ref failure, ref pump))
                    return false;
                break;
            case NbdCommand.Write or NbdCommand.WriteZeroes or NbdCommand.Trim when failure is null:
                Acknowledge(request);
                break;
            case NbdCommand.Read or NbdCommand.BlockStatus when failure is null && _lost.Overlaps(request.Offset, request.Length):
                failure = LinkFailure.LostRange(_options, request, _lost.First, _lostCause!);
                break;
        }

        MarkDone(request);
        return true;
    }

    /// <summary>Gives waiting requests to a connection with room. Gate held. True where the caller must pump it.</summary>
    public bool Dispatch(ClientConnection connection)
    {
        bool pump = false;
        while (connection.HasRoom && (connection.Waiting.First ?? (_isUp ? _waiting.First : null)) is { } request)
        {
            request.Queue!.Remove(request);
            pump |= connection.Assign(request);
        }

        return pump;
    }

    /// <summary>The link cannot go on: every call fails with this from now on.</summary>
    public void Fault(BackendException fault)
    {
        ClientConnection[] connections;
        lock (Gate)
        {
            _fault ??= fault;
            EndOutage();
            connections = [.. _connections, .. _others];
        }

        foreach (var connection in connections)
            connection.Break(fault);
    }

    /// <summary>Takes no more requests; returns the connections in use.</summary>
    public ClientConnection[] BeginClose()
    {
        lock (Gate)
        {
            _isClosing = true;
            if (_outstanding == 0)
                _idle.TrySetResult();
            if (!_isUp)
                EndOutage();
            SignalRoom();
            _changes.Writer.TryWrite(true);
            return [.. _connections];
        }
    }

    private void Submit(NbdRequest request, ClientConnection? only)
    {
        ClientConnection? pump = null;
        Exception? failure;
        lock (Gate)
        {
            Begin(request);
            failure = _isClosing ? new ObjectDisposedException(nameof(NbdClientBackend)) : Refusal(request);
            if (failure is not null)
            {
                MarkDone(request);
            }
            else if (only is { IsRetired: false, IsLost: false })
            {
                request.Only = only;
                Put(only, request, ref pump);
            }
            else if (_isUp && _waiting.IsEmpty && Choose() is { } connection)
            {
                pump = connection.Assign(request) ? connection : null;
            }
            else
            {
                Wait(request);
            }
        }

        pump?.Pump();
        if (failure is not null)
            request.Complete(failure);
    }

    private void Begin(NbdRequest request)
    {
        request.Sequence = ++_sequence;
        request.Deadline = After(_options.RequestTimeout);
        if (!request.FailsOnLoss)
            _outstanding++;
    }

    private static void Put(ClientConnection connection, NbdRequest request, ref ClientConnection? pump)
    {
        if (connection.HasRoom && connection.Waiting.IsEmpty)
        {
            if (connection.Assign(request))
                pump = connection;
            return;
        }

        request.Place = RequestPlace.Waiting;
        connection.Waiting.Insert(request);
    }

    private void GiveUp(NbdRequest request, Exception failure)
    {
        if (request.Place == RequestPlace.Waiting)
            request.Queue!.Remove(request);
        else if (request.Place == RequestPlace.Sent)
            request.Connection!.Abandon(request.Slot!);
        else
            return;
        MarkDone(request);
        request.Complete(failure);
    }

    private ClientConnection? Choose()
    {
        ClientConnection? best = null;
        foreach (var connection in _connections)
        {
            if (connection.HasRoom && (best is null || connection.ActiveCount < best.ActiveCount))
                best = connection;
        }

        if ((best is null || best.ActiveCount >= GrowAt) && _mayGrow && _connections.Count < _options.MaximumConnections)
            AskForGrowth();
        return best;
    }

    private void Wait(NbdRequest request)
    {
        request.Place = RequestPlace.Waiting;
        _waiting.Insert(request);
    }

    private void MarkDone(NbdRequest request)
    {
        request.Place = RequestPlace.Done;
        if (request.Kept is { } kept)
        {
            request.Kept = null;
            if (!request.FailsOnLoss)
            {
                _unflushed!.Drop(kept);
                SignalRoom();
            }
        }

        if (!request.FailsOnLoss && --_outstanding == 0 && _isClosing)
            _idle.TrySetResult();
    }

    private long Ticks(TimeSpan duration) => (long)(duration.TotalSeconds * _options.Clock.TimestampFrequency);

    private long After(TimeSpan duration) => _options.Clock.GetTimestamp() + Ticks(duration);
}
