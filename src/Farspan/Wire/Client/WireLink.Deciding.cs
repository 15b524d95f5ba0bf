using Farspan.Backends;
using Farspan.Checksums;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Client;

/// <content>What becomes of a request. All with the gate held, but for what says otherwise.</content>
internal sealed partial class WireLink
{
    /// <summary>Ends what took too long, and finds connections whose peer is silent. Not under the gate.</summary>
    public void Watch()
    {
        List<(WireLane Lane, bool IsDead)> quiet = [];
        lock (Gate)
        {
            var clock = Options.Clock;
            long now = clock.GetTimestamp();
            foreach (var request in _lanes.SelectMany(static lane => lane.Slots).Select(static slot => slot.Request).OfType<WireRequest>().ToList())
                EndIfLate(request, now);
            if (_isUp)
            {
                foreach (var request in _waiting.Concat(_roomWaiting).ToList())
                    EndIfLate(request, now);
            }
            else if (_loss is not null && clock.GetElapsedTime(_lossTime, now) >= Options.ReconnectTimeout)
            {
                FailWaiting(new BackendException(BackendError.Disconnected, $"The Farspan server is lost: {_loss.Message}", _loss));
            }

            foreach (var lane in _isUp ? _lanes : [])
            {
                var silence = clock.GetElapsedTime(lane.LastArrival, now);
                if (!lane.IsBusy || silence < Options.RequestTimeout / 4)
                    continue;
                if (lane.IsPinged && silence >= Options.RequestTimeout)
                    quiet.Add((lane, true));
                else if (!lane.IsPinged)
                    quiet.Add((lane, false));
                lane.IsPinged = true;
            }
        }

        foreach (var (lane, isDead) in quiet)
        {
            if (isDead)
                lane.Fail(new BackendException(BackendError.TimedOut, $"The Farspan server {Options.Name} is silent."));
            else
                _ = PingAsync(lane);
        }
    }

    private const int LongestTogether = 32 << 10;

    private TimeSpan PatienceFor(WireRequest request) => request.Patience ?? Options.RequestTimeout;

    private long DeadlineFromNow(WireRequest request)
        => Options.Clock.GetTimestamp() + (long)(PatienceFor(request).TotalSeconds * Options.Clock.TimestampFrequency);

    private void EndIfLate(WireRequest request, long now)
    {
        if (now < request.Deadline)
            return;
        DecideHeld(request, new BackendException(
            BackendError.TimedOut, $"{request.Operation} of {request.Length} bytes at {request.Offset} got no answer from {Options.Name} within {PatienceFor(request).TotalSeconds:0.###} s."));
    }

    private void Admit(WireRequest request)
    {
        ObjectDisposedException.ThrowIf(_isClosing, typeof(FarspanClientBackend));
        request.Deadline = DeadlineFromNow(request);
        _live++;
    }

    /// <summary>Puts a request on a connection, or where it waits. The connection where the caller must then pump.</summary>
    private WireLane? Dispatch(WireRequest request)
    {
        if (request.IsDecided)
            return null;
        WireLane? best = null;
        if (_isUp && _waiting.Count == 0)
        {
            // Short requests go together, as many as there are in one send; long ones spread.
            for (int i = 0; i < _lanes.Count; i++)
            {
                if (_lanes[i].FreeCount > (best?.FreeCount ?? 0))
                    best = _lanes[i];
                if (best is not null && request.Length <= LongestTogether)
                    break;
            }
        }

        if (best is null)
        {
            _waiting.AddLast(request.Node);
            return null;
        }

        return best.Enqueue(request) ? best : null;
    }

    private bool TakeWaiting(WireLane lane)
    {
        bool mustPump = false;
        while (_isUp && lane.FreeCount > 0 && _waiting.First is { } first)
        {
            _waiting.Remove(first);
            mustPump |= lane.Enqueue(first.Value);
        }

        return mustPump;
    }

    private static void Keep(WireRequest request, KeptWrite kept)
    {
        request.Kept = kept;
        kept.Offset = request.Offset;
        kept.Length = request.Length;
        kept.Epoch = request.Epoch;
        kept.Mode = request.Flags;
        kept.IsZero = request.Operation == WireOperation.Zero;
    }

    private void Fill(KeptWrite kept, ReadOnlySpan<byte> data)
    {
        data.CopyTo(kept.Data.Span);
        kept.Checksum = HasChecksums && !data.IsEmpty ? Crc32C.Compute(kept.Data.Span) : 0;
    }

    /// <summary>Writes that waited for room go on where there is some now. The connections where the caller must then pump.</summary>
    private List<WireLane>? ServeRoom()
    {
        while (_roomWaiting.First?.Value is { } request && Log.TryReserve(request.Source.Length, out var kept))
        {
            _roomWaiting.RemoveFirst();
            Keep(request, kept);
            Fill(kept, request.Source.Span);
            request.Source = default;
            _waiting.AddLast(request.Node);
        }

        List<WireLane>? toPump = null;
        foreach (var lane in _lanes)
        {
            if (TakeWaiting(lane))
                (toPump ??= []).Add(lane);
        }

        return toPump;
    }

    private bool MustMakeRoom()
    {
        if (_isMakingRoom || !_isUp || _isClosing || !(Log.IsHalfFull || (_roomWaiting.Count > 0 && Log.HasUnflushed)))
            return false;
        _isMakingRoom = true;
        return true;
    }

    /// <summary>Flushes so that kept writes may go. Never throws. Not under the gate.</summary>
    private async Task MakeRoomAsync()
    {
        bool again = true;
        while (again)
        {
            Exception? failure = null;
            try
            {
                var request = Rent();
                request.Prepare(WireOperation.Flush, 0, 0, epoch: 0);
                await Submit(request, CancellationToken.None);
            }
            catch (Exception error)
            {
                failure = error;
            }

            List<WireLane>? toPump;
            lock (Gate)
            {
                foreach (var request in failure is null ? [] : _roomWaiting.ToList())
                    DecideHeld(request, failure);
                toPump = ServeRoom();
                _isMakingRoom = false;
                again = failure is null && MustMakeRoom();
            }

            toPump?.ForEach(static lane => lane.Sender.Pump());
        }
    }

    private async Task PingAsync(WireLane lane)
    {
        try
        {
            var request = Rent();
            request.Prepare(WireOperation.Ping, 0, 0, epoch: 0);
            await SubmitOn(lane, request);
        }
        catch (BackendException)
        {
            // The watch looks at what arrives, not at this.
        }
    }

    private void DecideHeld(WireRequest request, Exception? failure)
    {
        if (request.IsDecided)
            return;
        request.IsDecided = true;
        request.Failure = failure;
        request.Node.List?.Remove(request.Node);
        if (request.Slot is { } slot)
        {
            slot.Request = null;
            request.Slot = null;
        }

        // What is written again was acknowledged before.
        if (request is { Kept: { } kept, FailsOnLoss: false })
        {
            if (failure is null)
                Log.Acknowledge(kept);
            else
                Log.Drop(kept);
        }

        if (request.Operation == WireOperation.Flush && failure is null)
            Log.Release(request.Mark);
        if (request.Pins == 0)
            Complete(request);
    }

    private void Complete(WireRequest request)
    {
        if (--_live == 0 && _isClosing)
            _idle.TrySetResult();
        request.Complete();
    }

    private BackendException? FailureOf(WireRequest request, in WireFrame reply, ReadOnlySpan<byte> payload)
    {
        if (reply.Status == WireStatus.Refused && request.Answer is { } refusal && MoveRequest.Has(request.Operation))
            refusal.IsRefused = true;
        else if (reply.Status != WireStatus.Done)
            return ErrorOf(reply, payload);
        else if (request.Answer is { } answer && !MoveRequest.Has(request.Operation) && !TryTake(request, reply, payload, answer))
            return new BackendException(BackendError.Protocol, $"{Options.Name}: the extents in a reply do not fit the request.");
        return null;
    }

    private BackendException ErrorOf(in WireFrame reply, ReadOnlySpan<byte> message)
        => new(WireStatusMap.ToError(reply.Status), $"{Options.Name}: {WireLimits.Decode(message) ?? "no reason that can be read"}");

    private static bool TryTake(WireRequest request, in WireFrame reply, ReadOnlySpan<byte> payload, WireAnswer answer)
    {
        answer.Epoch = reply.Epoch;
        answer.Offset = reply.Offset;
        long left = request.Length;
        long offset = request.Offset;
        for (; payload.Length > 0; payload = payload[ExtentRecord.Size..])
        {
            var record = ExtentRecord.Read(payload);
            if (record.Length < 1 || record.Length > left)
                return false;
            if (answer.Extents.Count > 0 && answer.Extents[^1].Kind == record.Kind)
                answer.Extents[^1] = answer.Extents[^1] with { Length = answer.Extents[^1].Length + record.Length };
            else
                answer.Extents.Add(new Extent(offset, record.Length, record.Kind));
            offset += record.Length;
            left -= record.Length;
        }

        return request.Operation != WireOperation.Extents || request.Length == 0 || answer.Extents.Count > 0;
    }
}
