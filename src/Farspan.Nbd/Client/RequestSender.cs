using System.Net.Sockets;
using Farspan.Backends;
using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>
/// Sends the requests of one connection. One thread at a time has the right to send, and takes with it what others queued meanwhile, so that
/// several requests go out in one write. State is under the link's gate; the writes are not.
/// </summary>
#pragma warning disable CA1001 // A SemaphoreSlim whose wait handle is never asked for holds nothing to dispose.
internal sealed class RequestSender(ClientConnection connection, NbdTransport transport, bool extended, int capacity)
#pragma warning restore CA1001
{
    /// <summary>What a request without payload takes up in a socket's buffer, in bytes, bookkeeping of the kernel included.</summary>
    private const int RequestCost = 1024;

    /// <summary>Payloads up to this length are copied next to their headers, longer ones are sent from where they are.</summary>
    private const int CopiedPayload = 16 << 10;

    /// <summary>How often a caller sends for others before he goes on with his own affairs.</summary>
    private const int MaximumRounds = 8;

    private readonly byte[] _buffer = GC.AllocateUninitializedArray<byte>(64 << 10, pinned: true);
    private readonly Queue<ReplySlot> _queue = new(capacity);
    private readonly List<(NbdRequest Request, int Position)> _batch = new(capacity);
    private readonly SemaphoreSlim _work = new(0);
    private readonly int _headerSize = extended ? RequestHeader.ExtendedSize : RequestHeader.CompactSize;
    private NbdRequest? _tail;
    private Thread? _thread;
    private int _filled;
    private long _unanswered;
    private bool _isSending;
    private bool _isStopped;
    private bool _isDisconnecting;
    private bool _saidGoodbye;

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

    /// <summary>Sends nothing more. Gate held.</summary>
    public void Stop()
    {
        _isStopped = true;
        _queue.Clear();
        _work.Release();
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

    /// <summary>Waits until the sender thread is gone; after <see cref="Stop"/>.</summary>
    public void Join() => _thread?.Join();

    /// <summary>Sends until nothing is queued, or hands the rest to the sender thread.</summary>
    public void Pump() => Pump(mayBlock: false);

    private void Pump(bool mayBlock)
    {
        for (int round = 0; ; round++)
        {
            lock (connection.Gate)
            {
                ReleaseBatch();
                if (_isStopped || (_queue.Count == 0 && !_isDisconnecting))
                {
                    _isSending = false;
                    return;
                }

                if (!mayBlock && (round == MaximumRounds || _isDisconnecting || !FitsRoom(_queue.Peek())))
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

    private bool FitsRoom(ReplySlot slot) => _unanswered + slot.SendCost <= transport.SendRoom;

    private void Gather(bool mayBlock)
    {
        while (_queue.TryPeek(out var slot))
        {
            if (slot.Request is not { } request)
            {
                _queue.Dequeue();
                connection.FreeUnsent(slot);
                continue;
            }

            int copied = request.Payload.Length <= CopiedPayload ? request.Payload.Length : 0;
            if (_filled + _headerSize + copied > _buffer.Length || (!mayBlock && !FitsRoom(slot)))
                return;
            _queue.Dequeue();
            _unanswered += slot.SendCost;
            var flags = request.Flags | (extended && request.Command == NbdCommand.Write ? NbdCommandFlags.PayloadLength : NbdCommandFlags.None);
            new RequestHeader(flags, request.Command, slot.Cookie, (ulong)request.Offset, (ulong)request.Length)
                .Write(_buffer.AsSpan(_filled), extended);
            _filled += _headerSize;
            slot.IsOnWire = true;
            if (request.Payload.IsEmpty)
                continue;
            request.Pins++;
            _batch.Add((request, _filled));
            _filled += copied;
            if (copied == 0)
            {
                _tail = request;
                return;
            }
        }

        if (_isDisconnecting && _filled + _headerSize <= _buffer.Length)
        {
            new RequestHeader(NbdCommandFlags.None, NbdCommand.Disconnect, 0, 0, 0).Write(_buffer.AsSpan(_filled), extended);
            _filled += _headerSize;
            _isStopped = _saidGoodbye = true;
        }
    }

    private bool Send()
    {
        try
        {
            foreach (var (request, position) in _batch)
            {
                if (!ReferenceEquals(request, _tail))
                    request.Payload.Span.CopyTo(_buffer.AsSpan(position));
            }

            if (_filled > 0)
                transport.Stream.Write(_buffer, 0, _filled);
            if (_tail is not null)
                transport.Stream.Write(_tail.Payload.Span);
            if (_saidGoodbye)
                transport.EndWriting();
            return true;
        }
        catch (Exception error) when (error is IOException or SocketException or ObjectDisposedException)
        {
            connection.Fail(new BackendException(BackendError.Disconnected, $"The connection to the NBD server was lost while sending: {error.Message.TrimEnd('.')}.", error));
            lock (connection.Gate)
            {
                ReleaseBatch();
                _isSending = false;
            }

            return false;
        }
    }

    private void ReleaseBatch()
    {
        foreach (var (request, _) in _batch)
            connection.Link.Unpin(request);
        _batch.Clear();
        _tail = null;
        _filled = 0;
    }

    private void HandOver()
    {
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
                    return;
            }

            Pump(mayBlock: true);
        }
    }
}
