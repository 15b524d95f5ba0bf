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

        first.Start(this);
        _connections.Add(first);
        _isUp = true;
    }

    /// <summary>Guards all state.</summary>
    public Lock Gate { get; } = new();

    /// <summary>The export as it was when it was opened.</summary>
    public ExportDescription Export { get; }

    public NbdClientOptions Options => _options;

    public bool IsUp => Volatile.Read(ref _isUp);

    public bool IsClosing => Volatile.Read(ref _isClosing);

    /// <summary>Completes when closing and no request is left.</summary>
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

    /// <summary>Sends a request, or lets it wait for its turn. It completes in any case, and nothing is thrown.</summary>
    public void Submit(NbdRequest request)
    {
        ClientConnection? pump = null;
        Exception? failure;
        lock (Gate)
        {
            request.Sequence = ++_sequence;
            request.Deadline = After(_options.RequestTimeout);
            _outstanding++;
            failure = _isClosing ? new ObjectDisposedException(nameof(NbdClientBackend)) : Refusal(request);
            if (failure is not null)
                MarkDone(request);
            else if (_isUp && _waiting.IsEmpty && Choose() is { } connection)
                pump = connection.Assign(request) ? connection : null;
            else
                Wait(request);
        }

        pump?.Pump();
        if (failure is not null)
            request.Complete(failure);
    }

    /// <summary>Sends a request on one connection, which may not be in use yet. A loss fails it. False where there is no room.</summary>
    public bool TrySubmitTo(ClientConnection connection, NbdRequest request)
    {
        bool pump;
        lock (Gate)
        {
            if (!connection.HasRoom)
                return false;
            request.Sequence = ++_sequence;
            request.Deadline = After(_options.RequestTimeout);
            request.FailsOnLoss = true;
            _outstanding++;
            pump = connection.Assign(request);
        }

        if (pump)
            connection.Pump();
        return true;
    }

    /// <summary>Tells the caller at once that his request failed or was cancelled; what the server still sends for it is read past.</summary>
    public void Abandon(NbdRequest request, Exception failure)
    {
        lock (Gate)
        {
            switch (request.Place)
            {
                case RequestPlace.Waiting:
                    _waiting.Remove(request);
                    break;
                case RequestPlace.Sent:
                    request.Connection!.Abandon(request.Slot!);
                    if (request.Pins == 0)
                        break;
                    Leave(request, RequestVerdict.Complete, failure);
                    return;
                case RequestPlace.Leaving when request.Verdict == RequestVerdict.Resend:
                    request.Verdict = RequestVerdict.Complete;
                    request.Failure = failure;
                    return;
                default:
                    return;
            }

            MarkDone(request);
        }

        request.Complete(failure);
    }

    /// <summary>The answer came. Gate held. True where the caller completes the request after the gate.</summary>
    public bool Settle(NbdRequest request, ref Exception? failure)
    {
        if (request.Command == NbdCommand.Flush)
            SettleFlush(request, ref failure);
        else if (failure is null && request.Command is NbdCommand.Write or NbdCommand.WriteZeroes)
            Acknowledge(request);
        if (request.Pins > 0)
        {
            Leave(request, RequestVerdict.Complete, failure);
            return false;
        }

        MarkDone(request);
        return true;
    }

    /// <summary>The buffer of a request is not in use at one place any more. Gate held.</summary>
    public void Unpin(NbdRequest request)
    {
        if (--request.Pins > 0 || request.Place != RequestPlace.Leaving)
            return;
        _leaving.Remove(request);
        var verdict = request.Verdict;
        request.Verdict = RequestVerdict.None;
        if (verdict == RequestVerdict.Resend)
        {
            Resend(request);
            return;
        }

        MarkDone(request);
        request.Complete(request.Failure);
    }

    /// <summary>Gives waiting requests to a connection with room. Gate held. True where the caller must pump it.</summary>
    public bool Dispatch(ClientConnection connection)
    {
        bool pump = false;
        while (_isUp && connection.HasRoom && _waiting.First is { } request)
        {
            _waiting.Remove(request);
            pump |= connection.Assign(request);
        }

        return pump;
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

    private void Leave(NbdRequest request, RequestVerdict verdict, Exception? failure)
    {
        request.Place = RequestPlace.Leaving;
        request.Slot = null;
        request.Verdict = verdict;
        request.Failure = failure;
        request.Deadline = After(LeavingTime);
        _leaving.Add(request);
    }

    private void MarkDone(NbdRequest request)
    {
        request.Place = RequestPlace.Done;
        if (request.Kept is { } kept)
        {
            request.Kept = null;
            _unflushed!.Drop(kept);
            SignalRoom();
        }

        if (--_outstanding == 0 && _isClosing)
            _idle.TrySetResult();
    }

    private long Ticks(TimeSpan duration) => (long)(duration.TotalSeconds * _options.Clock.TimestampFrequency);

    private long After(TimeSpan duration) => _options.Clock.GetTimestamp() + Ticks(duration);
}
