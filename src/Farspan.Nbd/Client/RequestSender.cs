using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>
/// Sends the requests of one connection. One thread at a time has the right to send, and takes with it what others queued meanwhile, so that
/// several requests go out in one write. State is under the link's gate; the writes are not. No caller's buffer is ever read outside the
/// gate, so that a caller who gives up, or is answered early, has his buffer back at once: what a write carries is copied into the send
/// buffer, or lies where the link keeps unflushed writes.
/// </summary>
#pragma warning disable CA1001 // A SemaphoreSlim whose wait handle is never asked for holds nothing to dispose.
internal sealed class RequestSender(ClientConnection connection, NbdTransport transport, bool extended, int capacity)
#pragma warning restore CA1001
{
    /// <summary>What a request without payload takes up in a socket's buffer, in bytes, bookkeeping of the kernel included.</summary>
    private const int RequestCost = 1024;

    /// <summary>Payloads up to this length are copied next to their headers; longer ones are sent from where they are kept, or copied bit by bit.</summary>
    private const int CopiedPayload = 16 << 10;

    /// <summary>The most bytes that one write sends, so that a slow line shows progress.</summary>
    private const int MaximumWrite = 256 << 10;

    /// <summary>How often a caller sends for others before he goes on with his own affairs.</summary>
    private const int MaximumRounds = 8;

    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(64 << 10, pinned: true);
    private readonly Queue<ReplySlot> _queue = new(capacity);
    private readonly SemaphoreSlim _work = new(0);
    private readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly int _headerSize = extended ? RequestHeader.ExtendedSize : RequestHeader.CompactSize;

    // What follows the buffer in this write, and who keeps it.
    private ReadOnlyMemory<byte> _tail;
    private UnflushedWrite? _holder;

    // What of a caller's own buffer is still to be copied, and for which slot.
    private ReadOnlyMemory<byte> _rest;
    private ReplySlot? _restSlot;

    private Thread? _thread;
    private int _filled;
    private long _unanswered;
    private long _progress;
    private bool _isSending;
    private bool _isThreadSending;
    private bool _isStopped;
    private bool _isDisconnecting;
    private bool _saidGoodbye;

    /// <summary>Whether somebody is sending. Gate held.</summary>
    public bool IsSending => _isSending;

    /// <summary>Grows with every write that went through.</summary>
    public long Progress => Volatile.Read(ref _progress);

    /// <summary>What a request counts against the room for sending without waiting.</summary>
    public static int CostOf(NbdRequest request) => RequestCost + request.Payload.Length;

    /// <summary>Queues a slot. Gate held. True where the caller now has the right to send, and must call <see cref="Pump()"/>.</summary>
    public bool Enqueue(ReplySlot slot)
    {
        _queue.Enqueue(slot);
        if (_isSending)
            return false;
        _isSending = true;
        return true;
    }

    /// <summary>A slot is free again. Gate held.</summary>
    public void OnAnswered(ReplySlot slot)
    {
        _unanswered -= slot.SendCost;
        slot.SendCost = 0;
    }

    /// <summary>The caller of a slot gets his buffer back. Gate held. A write that is sent in part has to be sent to its end all the same.</summary>
    public void Detach(ReplySlot slot)
    {
        if (!ReferenceEquals(_restSlot, slot))
            return;
        _restSlot = null;
        if (!_rest.IsEmpty)
            _rest = _rest.ToArray();
    }

    /// <summary>Sends nothing more. Gate held.</summary>
    public void Stop()
    {
        _isStopped = true;
        _queue.Clear();
        _rest = default;
        _restSlot = null;
        _work.Release();
        if (!_isSending)
            _finished.TrySetResult();
    }

    /// <summary>Sends DISC once the queue is empty, and nothing after that. Not under the gate.</summary>
    public void Disconnect()
    {
        lock (connection.Gate)
        {
            if (_isDisconnecting || _isStopped)
                return;
            _isDisconnecting = true;
            if (_isSending)
                return;
            _isSending = true;
        }

        Pump();
    }

    /// <summary>Waits until nobody sends any more; after <see cref="Stop"/>, and not under the gate.</summary>
    public void Join()
    {
        _finished.Task.GetAwaiter().GetResult();
        _thread?.Join();
    }

    /// <summary>Sends until nothing is queued, or hands the rest to the sender thread.</summary>
    public void Pump() => Pump(mayBlock: false);

    private void Pump(bool mayBlock)
    {
        for (int round = 0; ; round++)
        {
            lock (connection.Gate)
            {
                EndWrite();
                if (_isStopped || (_queue.Count == 0 && _rest.IsEmpty && !_isDisconnecting))
                {
                    EndSending();
                    return;
                }

                if (!mayBlock && (round == MaximumRounds || _isDisconnecting || !NextFitsRoom()))
                {
                    HandOver();
                    return;
                }

                Gather(mayBlock);
            }

            if (!Send())
                return;
        }
    }

    private bool NextFitsRoom() => !_rest.IsEmpty || !_queue.TryPeek(out var slot) || FitsRoom(slot);

    private bool FitsRoom(ReplySlot slot) => _unanswered + slot.SendCost <= transport.SendRoom;

    private void Gather(bool mayBlock)
    {
        CopyRest();
        while (_rest.IsEmpty && _tail.IsEmpty && _queue.TryPeek(out var slot))
        {
            if (slot.Request is not { } request)
            {
                _queue.Dequeue();
                connection.FreeUnsent(slot);
                continue;
            }

            var payload = request.Payload;
            int together = payload.Length <= CopiedPayload ? payload.Length : 0;
            if (_filled + _headerSize + together > _buffer.Length || (!mayBlock && !FitsRoom(slot)))
                return;
            _queue.Dequeue();
            _unanswered += slot.SendCost;
            var flags = request.Flags | (extended && request.Command == NbdCommand.Write ? NbdCommandFlags.PayloadLength : NbdCommandFlags.None);
            new RequestHeader(flags, request.Command, slot.Cookie, (ulong)request.Offset, (ulong)request.Length)
                .Write(_buffer.AsSpan(_filled), extended);
            _filled += _headerSize;
            slot.IsOnWire = true;
            if (payload.Length > CopiedPayload && request.Kept is { } kept)
            {
                kept.Senders++;
                _holder = kept;
                _tail = payload;
                return;
            }

            _rest = payload;
            _restSlot = slot;
            CopyRest();
        }

        if (_isDisconnecting && _queue.Count == 0 && _rest.IsEmpty && _tail.IsEmpty && _filled + _headerSize <= _buffer.Length)
        {
            new RequestHeader(NbdCommandFlags.None, NbdCommand.Disconnect, 0, 0, 0).Write(_buffer.AsSpan(_filled), extended);
            _filled += _headerSize;
            _isStopped = _saidGoodbye = true;
        }
    }

    private void CopyRest()
    {
        int count = Math.Min(_rest.Length, _buffer.Length - _filled);
        _rest.Span[..count].CopyTo(_buffer.AsSpan(_filled));
        _filled += count;
        _rest = _rest[count..];
        if (_rest.IsEmpty)
        {
            _rest = default;
            _restSlot = null;
        }
    }

    private bool Send()
    {
        try
        {
            if (_filled > 0)
                transport.Stream.Write(_buffer, 0, _filled);
            Volatile.Write(ref _progress, _progress + 1);
            for (var left = _tail; !left.IsEmpty; left = left[Math.Min(left.Length, MaximumWrite)..])
            {
                transport.Stream.Write(left.Span[..Math.Min(left.Length, MaximumWrite)]);
                Volatile.Write(ref _progress, _progress + 1);
            }

            if (_saidGoodbye)
                transport.EndWriting();
            return true;
        }
        catch (Exception error)
        {
            connection.Break(new BackendException(BackendError.Disconnected, $"The connection to the NBD server was lost while sending: {error.Message.TrimEnd('.')}.", error));
            lock (connection.Gate)
            {
                EndWrite();
                EndSending();
            }

            return false;
        }
    }

    private void EndWrite()
    {
        _filled = 0;
        _tail = default;
        if (_holder is not { } holder)
            return;
        _holder = null;
        connection.Link.EndSending(holder);
    }

    private void EndSending()
    {
        _isSending = false;
        _isThreadSending = false;
        if (_isStopped)
            _finished.TrySetResult();
    }

    private void HandOver()
    {
        _isThreadSending = true;
        if (_thread is null)
        {
            _thread = new Thread(RunThread) { IsBackground = true, Name = "nbd requests" };
            _thread.Start();
        }

        _work.Release();
    }

    private void RunThread()
    {
        while (true)
        {
            _work.Wait();
            lock (connection.Gate)
            {
                if (_isStopped)
                {
                    if (_isThreadSending)
                        EndSending();
                    return;
                }
            }

            Pump(mayBlock: true);
        }
    }
}
