using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <content>Writes that were acknowledged and not flushed, and what a flush may claim of them.</content>
internal sealed partial class NbdLink
{
    private readonly UnflushedWrites? _unflushed;
    private readonly LostRanges _lost = new();
    private readonly bool _tracksWrites;
    private readonly Channel<bool> _roomWanted = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private TaskCompletionSource? _roomChanged;
    private BackendException? _lostWrites;
    private BackendException? _failedFlush;
    private BackendException? _roomFailure;
    private BackendException? _lostCause;
    private long _acknowledged;
    private bool _rewritesFirst;

    /// <summary>Has something to read when a flush is needed to make room.</summary>
    public ChannelReader<bool> RoomWanted => _roomWanted.Reader;

    /// <summary>Whether writes are kept until they are flushed.</summary>
    [MemberNotNullWhen(true, nameof(_unflushed))]
    public bool KeepsWrites => _unflushed is not null;

    /// <summary>Whether it is time to flush.</summary>
    public bool NeedsRoom
    {
        get
        {
            lock (Gate)
                return KeepsWrites && !_isClosing && (_unflushed.IsHalfFull || (_roomChanged is not null && !_unflushed.IsEmpty));
        }
    }

    /// <summary>Takes room to keep a write of <paramref name="dataLength"/> bytes, 0 for a zeroing; false where there is none now.</summary>
    public bool TryReserve(int dataLength, [NotNullWhen(true)] out UnflushedWrite? kept)
    {
        lock (Gate)
        {
            // Who waits is served first.
            kept = null;
            return _roomChanged is null && _unflushed!.TryReserve(dataLength, out kept);
        }
    }

    /// <summary>Takes room, waiting for it as long as a request may last.</summary>
    /// <exception cref="BackendException">There was none in time, or there is no connection.</exception>
    public async ValueTask<UnflushedWrite> ReserveAsync(int dataLength, CancellationToken cancellationToken)
    {
        long deadline = After(_options.RequestTimeout + _options.ReconnectTimeout);
        while (true)
        {
            Task changed;
            lock (Gate)
            {
                ObjectDisposedException.ThrowIf(_isClosing, typeof(NbdClientBackend));
                if (!MayWait)
                    throw NoConnection();
                if (_unflushed!.TryReserve(dataLength, out var kept))
                    return kept;
                if (_roomFailure is not null)
                    throw LinkFailure.NoRoom(_options, _roomFailure);
                _roomChanged ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                changed = _roomChanged.Task;
                _roomWanted.Writer.TryWrite(true);
            }

            long left = deadline - _options.Clock.GetTimestamp();
            if (left <= 0)
                throw LinkFailure.NoRoom(_options, cause: null);
            try
            {
                await changed.WaitAsync(TimeSpan.FromSeconds((double)left / _options.Clock.TimestampFrequency), _options.Clock, cancellationToken);
            }
            catch (TimeoutException)
            {
                // The next turn says so.
            }
        }
    }

    /// <summary>The outcome of a flush that was made for room: null for success.</summary>
    public void NoteRoomFlush(BackendException? failure)
    {
        lock (Gate)
        {
            // A refusal of the server stands until it was told to who relies on it; a lost connection is no answer at all.
            if (failure is not null && failure.Error is not (BackendError.Disconnected or BackendError.TimedOut))
            {
                _roomFailure = failure;
                _failedFlush ??= failure;
            }

            SignalRoom();
        }
    }

    /// <summary>What has to be written again after a loss, in pieces that do not overlap.</summary>
    public IReadOnlyList<ReplayPiece> PlanReplay()
    {
        lock (Gate)
            return KeepsWrites ? ReplayPlan.Make(_unflushed.Acknowledged()) : [];
    }

    /// <summary>These pieces were refused for as long as an outage may last: their bytes count as lost until they are written anew.</summary>
    public void NoteLost(IEnumerable<ReplayPiece> pieces, BackendException cause)
    {
        lock (Gate)
        {
            _lostCause = cause;
            foreach (var piece in pieces)
                _lost.Add(piece.Offset, piece.Length);
        }
    }

    /// <summary>A sender does not read what is kept any more. Gate held.</summary>
    public void EndSending(UnflushedWrite kept)
    {
        _unflushed!.EndSending(kept);
        SignalRoom();
    }

    /// <summary>Makes durable what was acknowledged before: over every connection that acknowledged some of it.</summary>
    public ValueTask FlushAsync(bool isForRoom, CancellationToken cancellationToken)
    {
        ClientConnection[] dirty = [];
        lock (Gate)
        {
            if (_connections.Count > 1)
                dirty = [.. _connections.Where(static c => c.IsDirty)];
        }

        return dirty.Length > 1
            ? FlushEachAsync(dirty, isForRoom, cancellationToken)
            : FlushOnAsync(dirty.FirstOrDefault(), isForRoom, cancellationToken);
    }

    private async ValueTask FlushEachAsync(ClientConnection[] dirty, bool isForRoom, CancellationToken cancellationToken)
        => await Task.WhenAll(dirty.Select(c => FlushOnAsync(c, isForRoom, cancellationToken).AsTask()));

    private ValueTask FlushOnAsync(ClientConnection? only, bool isForRoom, CancellationToken cancellationToken)
    {
        var request = Rent();
        request.Prepare(NbdCommand.Flush, NbdCommandFlags.None, 0, 0);
        request.IsForRoom = isForRoom;
        return RunAsync(request, only, cancellationToken);
    }

    private void Acknowledge(NbdRequest request)
    {
        var connection = request.Connection!;
        if (!_lost.IsEmpty)
            _lost.Remove(request.Offset, request.Length);
        if (request.FailsOnLoss || !_tracksWrites)
            return;
        connection.LastChange = ++_acknowledged;
        if (request.Kept is { } kept)
        {
            request.Kept = null;
            _unflushed!.Acknowledge(kept, _acknowledged);
            if (_unflushed.IsHalfFull || _roomChanged is not null)
                _roomWanted.Writer.TryWrite(true);
        }
        else if (connection.IsRetired)
        {
            NoteLostWrites(connection, _outage ?? LinkFailure.Lost(_options));
        }
    }

    /// <summary>Where nothing is kept, what a connection out of use acknowledged and did not flush may be lost.</summary>
    private void NoteLostWrites(ClientConnection connection, BackendException cause)
    {
        if (!KeepsWrites && connection.IsDirty)
            _lostWrites ??= cause;
    }

    /// <summary>Why a flush is refused without asking the server, or null. Notes what it will cover.</summary>
    private BackendException? FlushRefusal(NbdRequest request)
    {
        if (_lostWrites is not null)
            return LinkFailure.LostWrites(_options, _lostWrites);
        if (_failedFlush is { } failed && !request.IsForRoom)
        {
            _failedFlush = null;
            return LinkFailure.EarlierFlush(_options, failed);
        }

        if (!_lost.IsEmpty && !request.IsForRoom)
            return LinkFailure.LostRange(_options, request, _lost.First, _lostCause!);
        if (request.Place == RequestPlace.Idle)
            request.FlushMark = _acknowledged;

        // After a flush that failed, a server may have dropped what it could not store and call the next flush a success.
        if (_rewritesFirst && _isUp && KeepsWrites && !_unflushed.IsEmpty)
            BeginOutage(new BackendException(BackendError.InputOutput, "A flush failed; what it was to cover is written again first."), isVoluntary: true);
        return null;
    }

    /// <summary>A flush failed that nobody waits for any more: the server may call the next one a success all the same.</summary>
    public void NoteFailedFlush() => _rewritesFirst = true;

    /// <summary>False where the request goes on elsewhere.</summary>
    private bool SettleFlush(NbdRequest request, ref Exception? failure, ref ClientConnection? pump)
    {
        if (failure is null && _rewritesFirst && KeepsWrites && !_unflushed.IsEmpty)
            failure = LinkFailure.OtherFlush(_options);
        if (failure is not null)
        {
            _rewritesFirst = true;
            return true;
        }

        // It says nothing of what a lost connection had acknowledged: that is written again first.
        var connection = request.Connection!;
        if (connection.IsRetired)
        {
            Resend(request);
            return false;
        }

        connection.FlushedTo = Math.Max(connection.FlushedTo, request.FlushMark);
        long durable = request.FlushMark;
        foreach (var other in _connections)
        {
            if (other.IsDirty)
                durable = Math.Min(durable, other.FlushedTo);
        }

        _unflushed?.Release(durable);
        _roomFailure = null;
        SignalRoom();
        if (!_lost.IsEmpty && !request.IsForRoom)
            failure = LinkFailure.LostRange(_options, request, _lost.First, _lostCause!);
        else if (request.Only is null && durable < request.FlushMark)
            return !FlushNext(request, ref pump);
        return true;
    }

    /// <summary>Sends a flush on over the next connection that acknowledged what it is to cover. False where there is none.</summary>
    private bool FlushNext(NbdRequest request, ref ClientConnection? pump)
    {
        foreach (var other in _connections)
        {
            if (other.IsDirty && other.FlushedTo < request.FlushMark)
            {
                Put(other, request, ref pump);
                return true;
            }
        }

        return false;
    }

    private void SignalRoom()
    {
        _roomChanged?.TrySetResult();
        _roomChanged = null;
    }
}
