using System.Threading.Channels;
using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>
/// What holds an export open: its connections, the requests that wait for a place, and what becomes of requests when a connection is lost.
/// One gate guards the state of the link, of its connections and of the requests; nothing waits, sends or receives under it.
/// </summary>
internal sealed class NbdLink
{
    private const int PooledRequests = 256;

    private readonly NbdClientOptions _options;
    private readonly RequestQueue _waiting = new();
    private readonly List<ClientConnection> _connections = [];
    private readonly List<NbdRequest> _leaving = [];
    private readonly Stack<NbdRequest> _pool = new();
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Channel<bool> _changed = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly List<ClientConnection> _retired = [];
    private BackendException? _outage;
    private BackendException? _lostWrites;
    private long _acknowledgedWrites;
    private long _flushedWrites;
    private long _downSince;
    private long _sequence;
    private int _outstanding;
    private bool _isUp;
    private bool _isOutageOver;
    private bool _isClosing;

    public NbdLink(NbdClientOptions options, ClientConnection first)
    {
        _options = options;
        Export = first.Export;
        first.Start(this);
        _connections.Add(first);
        _isUp = true;
    }

    /// <summary>Guards all state.</summary>
    public Lock Gate { get; } = new();

    /// <summary>The export as it was when it was opened.</summary>
    public ExportDescription Export { get; }

    public NbdClientOptions Options => _options;

    /// <summary>Has something to read after a connection was lost, more connections are wanted, or the link closes.</summary>
    public ChannelReader<bool> Changes => _changed.Reader;

    public bool IsUp => Volatile.Read(ref _isUp);

    public bool IsClosing => Volatile.Read(ref _isClosing);

    /// <summary>Whether another connection would help. Read under the gate.</summary>
    public bool WantsConnection { get; private set; }

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

    /// <summary>Sends a request, or lets it wait for its turn. It completes in any case.</summary>
    /// <exception cref="ObjectDisposedException">The link is closed.</exception>
    public void Submit(NbdRequest request)
    {
        ClientConnection? pump = null;
        Exception? failure = null;
        lock (Gate)
        {
            ObjectDisposedException.ThrowIf(_isClosing, typeof(NbdClientBackend));
            request.Sequence = ++_sequence;
            request.Deadline = After(_options.RequestTimeout);
            request.FlushMark = _acknowledgedWrites;
            _outstanding++;
            if (request.Command == NbdCommand.Flush && _lostWrites is not null)
                failure = LostWrites(_lostWrites);
            else if (!_isUp && (_isOutageOver || _options.ReconnectTimeout == TimeSpan.Zero))
                failure = NoConnection();
            else if (_isUp && _waiting.IsEmpty && Choose() is { } connection)
                pump = connection.Assign(request) ? connection : null;
            else
                Wait(request);
            if (failure is not null)
                MarkDone(request);
        }

        pump?.Pump();
        if (failure is not null)
            request.Complete(failure);
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
    public bool Settle(NbdRequest request, Exception? failure)
    {
        if (failure is null)
        {
            if (request.Command is NbdCommand.Write or NbdCommand.WriteZeroes)
                _acknowledgedWrites++;
            else if (request.Command == NbdCommand.Flush)
                _flushedWrites = Math.Max(_flushedWrites, request.FlushMark);
        }

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

    /// <summary>A connection failed. Gate held.</summary>
    public void OnLost(ClientConnection connection)
    {
        var failure = connection.Failure!;
        _retired.Remove(connection);
        if (_connections.Remove(connection))
        {
            _isUp = false;
            _isOutageOver = false;
            _outage = failure;
            _downSince = _options.Clock.GetTimestamp();
            if (_acknowledgedWrites > _flushedWrites)
                _lostWrites ??= failure;
            foreach (var other in _connections)
                other.Retire();
            _retired.AddRange(_connections);
            _connections.Clear();
            _changed.Writer.TryWrite(true);
        }

        var requests = new List<NbdRequest>();
        connection.CopyRequestsTo(requests);
        foreach (var request in requests)
        {
            bool resend = failure.Error != BackendError.Protocol;
            if (request.Pins > 0)
            {
                Leave(request, resend ? RequestVerdict.Resend : RequestVerdict.Complete, resend ? null : Copy(failure));
            }
            else if (resend)
            {
                Resend(request);
            }
            else
            {
                MarkDone(request);
                request.Complete(Copy(failure));
            }
        }
    }

    /// <summary>The connections that were in use beside one that was lost; they end what they have.</summary>
    public IReadOnlyList<ClientConnection> Retired()
    {
        lock (Gate)
            return [.. _retired];
    }

    /// <summary>Forgets a retired connection that has nothing on the way any more.</summary>
    public void Forget(ClientConnection retired)
    {
        lock (Gate)
            _retired.Remove(retired);
    }

    /// <summary>Takes a new connection into use; after a loss the requests that waited go out on it. False where it is lost already.</summary>
    public bool TryAdd(ClientConnection connection)
    {
        bool pump;
        lock (Gate)
        {
            if (connection.Failure is not null)
                return false;
            _connections.Add(connection);
            _isUp = true;
            _outage = null;
            WantsConnection = false;
            pump = Dispatch(connection);
        }

        if (pump)
            connection.Pump();
        return true;
    }

    /// <summary>Why connecting again does not work at present.</summary>
    public void NoteOutage(BackendException reason, bool isFinal)
    {
        lock (Gate)
        {
            _outage = reason;
            if (isFinal)
                EndOutage();
        }
    }

    /// <summary>Looks for what takes too long. Called by a timer.</summary>
    public void Watch()
    {
        long now = _options.Clock.GetTimestamp();
        List<ClientConnection> stuck = [];
        List<(NbdRequest Request, bool IsSent)> late = [];
        ClientConnection[] pump;
        lock (Gate)
        {
            if (!_isUp && !_isOutageOver && now - _downSince >= Ticks(_options.ReconnectTimeout))
                EndOutage();
            foreach (var request in _leaving)
            {
                if (now > request.Deadline && request.Connection is not null)
                    stuck.Add(request.Connection);
            }

            for (var request = _waiting.First; request is not null; request = request.Next)
            {
                if (now > request.Deadline)
                    late.Add((request, false));
            }

            var sent = new List<NbdRequest>();
            foreach (var connection in _connections.Concat(_retired))
            {
                connection.CopyRequestsTo(sent);
                if (connection.AbandonedCount > _options.RequestsPerConnection / 2)
                    stuck.Add(connection);
            }

            foreach (var request in sent)
            {
                if (now <= request.Deadline)
                    continue;
                late.Add((request, true));
                if (request.Connection!.Arrivals == request.ArrivalsBefore)
                    stuck.Add(request.Connection);
            }

            pump = [.. _connections.Where(Dispatch)];
        }

        foreach (var (request, isSent) in late)
            Abandon(request, isSent || _isUp ? TimedOut(request) : NoConnection());
        foreach (var connection in stuck)
            connection.Abort();
        foreach (var connection in pump)
            connection.Pump();
    }

    /// <summary>Takes no more requests.</summary>
    public ClientConnection[] BeginClose()
    {
        lock (Gate)
        {
            _isClosing = true;
            if (_outstanding == 0)
                _idle.TrySetResult();
            if (!_isUp)
                EndOutage();
            _changed.Writer.TryWrite(true);
            return [.. _connections];
        }
    }

    private static BackendException Copy(BackendException failure) => new(failure.Error, failure.Message, failure, failure.IsTransient);

    private ClientConnection? Choose()
    {
        ClientConnection? best = null;
        foreach (var connection in _connections)
        {
            if (connection.HasRoom && (best is null || connection.ActiveCount < best.ActiveCount))
                best = connection;
        }

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
        request.Deadline = After(TimeSpan.FromSeconds(1));
        _leaving.Add(request);
    }

    private void Resend(NbdRequest request)
    {
        request.Slot = null;
        request.Connection = null;
        if (!request.MetLoss)
            request.Deadline = After(_options.ReconnectTimeout + _options.RequestTimeout);
        request.MetLoss = true;
        if (_isClosing || (!_isUp && (_isOutageOver || _options.ReconnectTimeout == TimeSpan.Zero)))
        {
            MarkDone(request);
            request.Complete(NoConnection());
        }
        else if (request.Command == NbdCommand.Flush && _lostWrites is not null)
        {
            MarkDone(request);
            request.Complete(LostWrites(_lostWrites));
        }
        else
        {
            Wait(request);
        }
    }

    private void EndOutage()
    {
        _isOutageOver = true;
        while (_waiting.First is { } request)
        {
            _waiting.Remove(request);
            MarkDone(request);
            request.Complete(NoConnection());
        }
    }

    private void MarkDone(NbdRequest request)
    {
        request.Place = RequestPlace.Done;
        if (--_outstanding == 0 && _isClosing)
            _idle.TrySetResult();
    }

    private BackendException TimedOut(NbdRequest request)
        => new(BackendError.TimedOut, $"{request.Command} of {request.Length} bytes at {request.Offset} on {_options.Name}: no answer within {_options.RequestTimeout.TotalSeconds:0.###} s.");

    private BackendException NoConnection()
    {
        var cause = _outage;
        if (_isClosing)
            return new BackendException(BackendError.Disconnected, $"{_options.Name} was closed before it answered.", cause, isTransient: false);
        return new BackendException(
            cause?.Error is null or BackendError.Protocol ? BackendError.Disconnected : cause.Error,
            $"No connection to {_options.Name}: {cause?.Message ?? "it was lost."}",
            cause,
            isTransient: cause?.IsTransient ?? true);
    }

    private BackendException LostWrites(BackendException cause)
        => new(
            BackendError.InputOutput,
            $"Flush on {_options.Name}: the connection was lost after writes that had been acknowledged and not flushed, so they may be lost; open it again and write them again. {cause.Message}",
            cause,
            isTransient: false);

    private long Ticks(TimeSpan duration) => (long)(duration.TotalSeconds * _options.Clock.TimestampFrequency);

    private long After(TimeSpan duration) => _options.Clock.GetTimestamp() + Ticks(duration);
}
