using Farspan.Backends;
using Farspan.Checksums;
using Farspan.Transports;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Client;

/// <summary>
/// Sends the requests of one connection. One thread at a time has the right to send, and takes with it what others queued meanwhile. A caller
/// sends only what surely does not block; the rest is left to a thread of its own. State is under the link's gate; the sends are not.
/// </summary>
internal sealed class LaneSender(WireLane lane, ByteChannel line, int capacity)
{
    private const int CopiedPayload = 16 << 10;
    private const int MaximumRounds = 8;

    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(64 << 10, pinned: true);
    private readonly Queue<WireSlot> _queue = new(capacity);
    private readonly List<(KeptWrite Write, int Position)> _batch = new(capacity);
    private readonly object _work = new();
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private KeptWrite? _large;
    private Thread? _thread;
    private int _filled;
    private bool _hasWork;
    private bool _isHandedOver;
    private bool _isSending;
    private bool _isStopped;

    /// <summary>Queues a slot. Gate held. True where the caller now has the right to send, and must call <see cref="Pump()"/>.</summary>
    public bool Enqueue(WireSlot slot)
    {
        _queue.Enqueue(slot);
        if (_isSending)
            return false;
        _isSending = true;
        return true;
    }

    /// <summary>Sends nothing more. Gate held.</summary>
    public void Stop()
    {
        _isStopped = true;
        _queue.Clear();
        if (!_isSending)
            _idle.TrySetResult();
        lock (_work)
        {
            _hasWork = true;
            Monitor.Pulse(_work);
        }
    }

    /// <summary>Stops where nobody is sending: the caller may then send the last word. Gate held.</summary>
    public bool TryStopForGood()
    {
        if (_isSending)
            return false;
        Stop();
        return true;
    }

    /// <summary>Waits until nobody sends any more; after <see cref="Stop"/>.</summary>
    public void Join()
    {
        _idle.Task.GetAwaiter().GetResult();
        _thread?.Join();
    }

    /// <summary>Sends until nothing is queued, or hands the rest to the sender's thread. Not under the gate.</summary>
    public void Pump() => Pump(mayBlock: false);

    private void Pump(bool mayBlock)
    {
        for (int round = 0; ; round++)
        {
            lock (lane.Link.Gate)
            {
                ReleaseBatch();
                if (_isStopped || _queue.Count == 0)
                {
                    _isSending = false;
                    if (_isStopped)
                        _idle.TrySetResult();
                    return;
                }

                if (!mayBlock && (round == MaximumRounds || !FitsRoom(_queue.Peek())))
                {
                    HandOver();
                    return;
                }

                Gather(mayBlock);
            }

            Send();
        }
    }

    private bool FitsRoom(WireSlot slot)
    {
        int needed = _filled + WireFrame.Size + PayloadLength(slot.Request);
        try
        {
            return line.SendRoom(needed) >= needed;
        }
        catch (IOException)
        {
            // Sending says what is wrong.
            return true;
        }
    }

    private static int PayloadLength(WireRequest? request)
        => request?.Kept is { IsZero: false } write ? write.Data.Length : request?.Payload?.Length ?? 0;

    private void Gather(bool mayBlock)
    {
        while (_queue.TryPeek(out var slot))
        {
            if (slot.Request is not { } request)
            {
                _queue.Dequeue();
                lane.Free(slot);
                continue;
            }

            var kept = request.Kept is { IsZero: false } write ? write : null;
            int length = PayloadLength(request);
            bool isLarge = length > CopiedPayload;
            bool isFull = isLarge ? _filled > 0 : _filled + WireFrame.Size + length > _buffer.Length;
            if (isFull || (!mayBlock && !FitsRoom(slot)))
                return;
            _queue.Dequeue();
            slot.IsSent = true;
            uint checksum = kept?.Checksum ?? (request.Payload is null || !lane.Link.HasChecksums ? 0 : Crc32C.Compute(request.Payload));
            var frame = new WireFrame(request.Operation, request.Flags, slot.Id, length, request.Epoch, request.Offset, request.Length, checksum);
            if (isLarge)
            {
                kept!.Pins++;
                frame.WriteRequest(kept.Whole.Span);
                _large = kept;
                return;
            }

            frame.WriteRequest(_buffer.AsSpan(_filled));
            _filled += WireFrame.Size;
            request.Payload?.CopyTo(_buffer, _filled);
            if (kept is not null)
            {
                kept.Pins++;
                _batch.Add((kept, _filled));
            }

            _filled += length;
        }
    }

    private void Send()
    {
        try
        {
            foreach (var (write, position) in _batch)
                write.Data.Span.CopyTo(_buffer.AsSpan(position));
            if (_filled > 0)
                line.Send(_buffer.AsSpan(0, _filled));
            if (_large is not null)
                line.Send(_large.Whole.Span);
        }
        catch (IOException error)
        {
            lane.Fail(new BackendException(BackendError.Disconnected, $"{lane.Link.Options.Name}: {error.Message}", error));
        }
    }

    private void ReleaseBatch()
    {
        foreach (var (write, _) in _batch)
            lane.Link.Unpin(write);
        if (_large is not null)
            lane.Link.Unpin(_large);
        _batch.Clear();
        _large = null;
        _filled = 0;
    }

    private void HandOver()
    {
        if (_thread is null)
        {
            _thread = new Thread(RunThread, 256 << 10) { IsBackground = true, Name = "farspan requests" };
            _thread.Start();
        }

        _isHandedOver = true;
        lock (_work)
        {
            _hasWork = true;
            Monitor.Pulse(_work);
        }
    }

    private void RunThread()
    {
        while (true)
        {
            lock (_work)
            {
                while (!_hasWork)
                    Monitor.Wait(_work);
                _hasWork = false;
            }

            bool isMine;
            lock (lane.Link.Gate)
            {
                isMine = _isHandedOver;
                _isHandedOver = false;
            }

            if (isMine)
                Pump(mayBlock: true);
            lock (lane.Link.Gate)
            {
                if (_isStopped && !_isHandedOver)
                    return;
            }
        }
    }
}
