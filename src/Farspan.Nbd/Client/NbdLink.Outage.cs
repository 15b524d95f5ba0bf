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
    private readonly Channel<bool> _growthWanted = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private BackendException? _outage;
    private long _downSince;
    private long _growAfter;
    private bool _isOutageOver;
    private bool _isVoluntary;
    private bool _mayGrow;
    private bool _wantsGrowth;
    private bool _canMultiConnect;
    private long _outages;

    /// <summary>Has something to read after a connection was lost, or the link closes.</summary>
    public ChannelReader<bool> Changes => _changes.Reader;

    /// <summary>Has something to read when one more connection is wanted.</summary>
    public ChannelReader<bool> GrowthWanted => _growthWanted.Reader;

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

    /// <summary>Whether the server, as it was when it was connected to last, lets several connections be used.</summary>
    public bool CanMultiConnect => Volatile.Read(ref _canMultiConnect);

    /// <summary>The connections in use, and a number that another outage changes.</summary>
    public (ClientConnection[] Connections, long Outages) InUse()
    {
        lock (Gate)
            return ([.. _connections], _outages);
    }

    /// <summary>Whether a connection has a change under way that may still be carried out.</summary>
    public bool ChangesUnderWay(ClientConnection connection)
    {
        lock (Gate)
            return connection.HasChangesUnderWay;
    }

    /// <summary>Lets a connection take no requests.</summary>
    public void Retire(ClientConnection connection)
    {
        lock (Gate)
            connection.Retire();
    }

    /// <summary>An attempt at one more connection is over; after one that failed there is a pause. An outage since it began has forgotten it.</summary>
    public void EndGrowth(bool joined, long outages)
    {
        lock (Gate)
        {
            if (_outages != outages)
                return;
            _wantsGrowth = false;
            if (!joined)
                _growAfter = After(GrowthPause);
        }
    }

    /// <summary>Whether one more connection is wanted now.</summary>
    public bool WantsGrowth
    {
        get
        {
            lock (Gate)
                return _wantsGrowth && _isUp && !_isClosing && _fault is null;
        }
    }

    /// <summary>After an outage: takes the new connection into use, and sends what waited. False where it is lost already.</summary>
    public bool TryResume(ClientConnection connection)
    {
        bool pump;
        lock (Gate)
        {
            _others.Remove(connection);
            if (connection.IsLost || _isClosing || _fault is not null)
                return false;

            // All that is kept was written over this connection again.
            connection.LastChange = _unflushed is { IsEmpty: false } ? _acknowledged : 0;
            _connections.Add(connection);
            Volatile.Write(ref _canMultiConnect, connection.Export.Can(NbdTransmissionFlags.CanMultiConn));
            _mayGrow = _canMultiConnect;
            _wantsGrowth = false;
            _growAfter = 0;
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

    /// <summary>Takes one more connection into use. False where it was lost, or there was an outage, since <paramref name="outages"/> were counted.</summary>
    public bool TryJoin(ClientConnection connection, long outages)
    {
        bool pump;
        lock (Gate)
        {
            if (!_isUp || _isClosing || _outages != outages || connection.IsLost)
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
        NoteLostWrites(connection, failure);
        if (_connections.Remove(connection))
            BeginOutage(failure, isVoluntary: false);
        TakeWaiting(connection, failure);
        var requests = new List<NbdRequest>();
        connection.TakeRequests(requests);
        foreach (var request in requests)
        {
            if (failure.Error != BackendError.Protocol && !request.FailsOnLoss)
                Resend(request);
            else
                FailOnLoss(request, failure);
        }
    }

    private void BeginOutage(BackendException reason, bool isVoluntary)
    {
        _isUp = false;
        _isOutageOver = false;
        _isVoluntary = isVoluntary;
        _outage = reason;
        _outages++;
        _downSince = _options.Clock.GetTimestamp();
        foreach (var other in _connections)
        {
            other.Retire();
            NoteLostWrites(other, reason);
            TakeWaiting(other, reason);
        }

        _others.AddRange(_connections);
        _connections.Clear();
        if (!MayWait)
            EndOutage();
        _changes.Writer.TryWrite(true);
    }

    /// <summary>What waited for a place in a connection out of use waits for any, or fails.</summary>
    private void TakeWaiting(ClientConnection connection, BackendException failure)
    {
        while (connection.Waiting.First is { } request)
        {
            connection.Waiting.Remove(request);
            if (request.FailsOnLoss)
                FailOnLoss(request, failure);
            else
                Resend(request);
        }
    }

    private void FailOnLoss(NbdRequest request, BackendException failure)
    {
        MarkDone(request);
        request.Complete(LinkFailure.Copy(failure));
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

    private bool MayWait => _fault is null && (_isUp || (!_isClosing && !_isOutageOver && (_isVoluntary || _options.ReconnectTimeout > TimeSpan.Zero)));

    private void Resend(NbdRequest request)
    {
        request.Slot = null;
        request.Connection = null;
        request.Only = null;
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
        _growthWanted.Writer.TryWrite(true);
    }

    private BackendException NoConnection()
        => _fault is null ? LinkFailure.NoConnection(_options, _outage, _isClosing) : LinkFailure.Copy(_fault);
}
