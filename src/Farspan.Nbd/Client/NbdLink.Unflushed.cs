using System.Diagnostics.CodeAnalysis;
using System.Threading.Channels;
using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <content>Writes that were acknowledged and not flushed, and what a flush may claim of them.</content>
internal sealed partial class NbdLink
{
    private readonly UnflushedWrites? _unflushed;
    private readonly bool _tracksWrites;
    private readonly Channel<bool> _roomWanted = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private TaskCompletionSource? _roomChanged;
    private BackendException? _lostWrites;
    private BackendException? _failedFlush;
    private BackendException? _roomFailure;
    private long _acknowledgedWrites;
    private long _flushedWrites;
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

    private void Acknowledge(NbdRequest request)
    {
        if (request.Kept is { } kept)
        {
            request.Kept = null;
            _unflushed!.Acknowledge(kept);
            if (_unflushed.IsHalfFull || _roomChanged is not null)
                _roomWanted.Writer.TryWrite(true);
        }
        else if (_tracksWrites && !request.FailsOnLoss)
        {
            _acknowledgedWrites++;
        }
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

        if (request.Place == RequestPlace.Idle)
            request.FlushMark = _unflushed?.Mark ?? _acknowledgedWrites;

        // After a flush that failed, a server may have dropped what it could not store and call the next flush a success.
        if (_rewritesFirst && _isUp && KeepsWrites && !_unflushed.IsEmpty)
            BeginOutage(new BackendException(BackendError.InputOutput, "A flush failed; what it was to cover is written again first."), isVoluntary: true);
        return null;
    }

    /// <summary>A flush failed that nobody waits for any more: the server may call the next one a success all the same.</summary>
    public void NoteFailedFlush() => _rewritesFirst = true;

    private void SettleFlush(NbdRequest request, ref Exception? failure)
    {
        if (failure is null && _rewritesFirst && KeepsWrites && !_unflushed.IsEmpty)
            failure = LinkFailure.OtherFlush(_options);
        if (failure is not null)
        {
            _rewritesFirst = true;
            return;
        }

        _flushedWrites = Math.Max(_flushedWrites, KeepsWrites ? 0 : request.FlushMark);
        _unflushed?.Release(request.FlushMark);
        _roomFailure = null;
        SignalRoom();
    }

    private void SignalRoom()
    {
        _roomChanged?.TrySetResult();
        _roomChanged = null;
    }
}
