using System.Threading.Channels;
using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <content>Losing connections and getting new ones.</content>
internal sealed partial class NbdLink
{
    /// <summary>Requests on the way in every connection from which on one more connection helps.</summary>
    private const int GrowAt = 16;

    private static readonly TimeSpan GrowthPause = TimeSpan.FromSeconds(30);

    private readonly Channel<bool> _changes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private BackendException? _outage;
    private long _downSince;
    private long _growAfter;
    private bool _isOutageOver;
    private bool _isVoluntary;
    private bool _mayGrow;
    private bool _wantsGrowth;

    /// <summary>Has something to read after a connection was lost, one more is wanted, or the link closes.</summary>
    public ChannelReader<bool> Changes => _changes.Reader;

    /// <summary>Connections that are not in use: those that end what they have, and one that is about to be used.</summary>
    public IReadOnlyList<ClientConnection> Others()
    {
        lock (Gate)
            return [.. _others];
    }

    /// <summary>Watches a connection that is not in use.</summary>
    public void Remember(ClientConnection other)
    {
        lock (Gate)
            _others.Add(other);
    }

    /// <summary>Watches it no more.</summary>
    public void Forget(ClientConnection other)
    {
        lock (Gate)
            _others.Remove(other);
    }

    /// <summary>Lets more connections be opened when the load asks for them, or for a while not.</summary>
    public void AllowGrowth(bool isAllowed)
    {
        lock (Gate)
        {
            _mayGrow = isAllowed;
            _wantsGrowth = false;
            if (!isAllowed)
                _growAfter = After(GrowthPause);
        }
    }

    /// <summary>Whether one more connection is wanted now.</summary>
    public bool WantsGrowth
    {
        get
        {
            lock (Gate)
                return _wantsGrowth && _isUp && !_isClosing;
        }
    }

    /// <summary>After an outage: takes the new connection into use, and sends what waited. False where it is lost already.</summary>
    public bool TryResume(ClientConnection connection)
    {
        bool pump;
        lock (Gate)
        {
            _others.Remove(connection);
            if (connection.Failure is not null)
                return false;
            _connections.Add(connection);
            _isUp = true;
            _isVoluntary = false;
            _rewritesFirst = false;
            _outage = null;
            pump = Dispatch(connection);
        }

        if (pump)
            connection.Pump();
        return true;
    }

    /// <summary>Takes one more connection into use. False where it, or the link, was lost meanwhile.</summary>
    public bool TryJoin(ClientConnection connection)
    {
        bool pump;
        lock (Gate)
        {
            if (!_isUp || _isClosing || connection.Failure is not null)
                return false;
            _connections.Add(connection);
            pump = Dispatch(connection);
        }

        if (pump)
            connection.Pump();
        return true;
    }

    /// <summary>Why connecting again does not work at present; <paramref name="isFinal"/> fails those who wait at once.</summary>
    public void NoteOutage(BackendException reason, bool isFinal)
    {
        lock (Gate)
        {
            _outage = reason;
            if (isFinal)
                EndOutage();
        }
    }

    /// <summary>A connection failed. Gate held.</summary>
    public void OnLost(ClientConnection connection)
    {
        var failure = connection.Failure!;
        if (_connections.Remove(connection))
        {
            if (_acknowledgedWrites > _flushedWrites && _unflushed is null)
                _lostWrites ??= failure;
            BeginOutage(failure, isVoluntary: false);
        }

        var requests = new List<NbdRequest>();
        connection.TakeRequests(requests);
        foreach (var request in requests)
        {
            bool resends = failure.Error != BackendError.Protocol && !request.FailsOnLoss;
            if (request.Pins > 0)
            {
                Leave(request, resends ? RequestVerdict.Resend : RequestVerdict.Complete, resends ? null : LinkFailure.Copy(failure));
            }
            else if (resends)
            {
                Resend(request);
            }
            else
            {
                MarkDone(request);
                request.Complete(LinkFailure.Copy(failure));
            }
        }
    }

    private void BeginOutage(BackendException reason, bool isVoluntary)
    {
        _isUp = false;
        _isOutageOver = false;
        _isVoluntary = isVoluntary;
        _outage = reason;
        _downSince = _options.Clock.GetTimestamp();
        foreach (var other in _connections)
            other.Retire();
        _others.AddRange(_connections);
        _connections.Clear();
        _changes.Writer.TryWrite(true);
    }

    /// <summary>Those who wait are told that the connection does not come back; later calls fail at once until it does.</summary>
    private void EndOutage()
    {
        _isOutageOver = true;
        SignalRoom();
        while (_waiting.First is { } request)
        {
            _waiting.Remove(request);
            MarkDone(request);
            request.Complete(NoConnection());
        }
    }

    /// <summary>Why a request cannot be taken now, or null.</summary>
    private BackendException? Refusal(NbdRequest request)
    {
        if (request.Command == NbdCommand.Flush && FlushRefusal(request) is { } refusal)
            return refusal;
        return MayWait ? null : NoConnection();
    }

    private bool MayWait => _isUp || (!_isClosing && !_isOutageOver && (_isVoluntary || _options.ReconnectTimeout > TimeSpan.Zero));

    private void Resend(NbdRequest request)
    {
        request.Slot = null;
        request.Connection = null;
        if (!request.MetLoss)
            request.Deadline = After(_options.ReconnectTimeout + _options.RequestTimeout);
        request.MetLoss = true;
        if (Refusal(request) is { } refusal)
        {
            MarkDone(request);
            request.Complete(refusal);
        }
        else
        {
            Wait(request);
        }
    }

    private void AskForGrowth()
    {
        if (_wantsGrowth || _options.Clock.GetTimestamp() < _growAfter)
            return;
        _wantsGrowth = true;
        _changes.Writer.TryWrite(true);
    }

    private BackendException NoConnection() => LinkFailure.NoConnection(_options, _outage, _isClosing);
}
