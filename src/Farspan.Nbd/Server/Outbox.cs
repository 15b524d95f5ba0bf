using Farspan.Backends;
using Farspan.Transports;

namespace Farspan.Nbd.Server;

/// <summary>
/// Sends a connection's replies, in the order in which they come here. The connection's own thread collects small ones in a batch; other
/// threads post theirs. Whoever finds the line free sends what waits, as long as that cannot block; the rest is left to a thread of its
/// own, which is started when it is first needed. So a client that sends without reading never stops what it sends from being received.
/// </summary>
internal sealed class Outbox : IDisposable
{
    /// <summary>Bodies up to this are copied behind each other; longer ones are sent from where they lie.</summary>
    public const int LargestCopy = 32 << 10;

    private const int ScratchSize = 128 << 10;
    public const int LargestSend = 128 << 10;

    private readonly ByteChannel _channel;
    private readonly BufferPool _pool;
    private readonly Flight _flight;
    private readonly ConnectionProgress _progress;
    private readonly OutgoingQueue _queue = new();
    private readonly object _line = new();
    private readonly SendingThread _sender;
    private readonly int _ownThread = Environment.CurrentManagedThreadId;
    private volatile bool _failed;
    private volatile bool _isSendingQueued;
    private PooledBuffer? _batch;
    private int _batchLength;

    public Outbox(
        ByteChannel channel, BufferPool pool, Flight flight, ConnectionProgress progress, string name, Action<Thread>? startThread = null)
    {
        _channel = channel;
        _pool = pool;
        _flight = flight;
        _progress = progress;
        _sender = new SendingThread(SendAll, name, startThread ?? (static thread => thread.Start()));
    }

    /// <summary>Whether sending has failed: the connection is lost, and what is posted is dropped.</summary>
    public bool HasFailed => _failed;

    /// <summary>Whether something is in the batch. The connection's thread only.</summary>
    public bool HasBatch => _batchLength > 0;

    /// <summary>Whether every reply that came here is sent, or dropped. Any thread.</summary>
    public bool IsIdle => Volatile.Read(ref _batchLength) == 0 && _queue.IsEmpty && !_isSendingQueued;

    /// <summary>A message to fill and <see cref="Post"/>. Any thread.</summary>
    public Outgoing Rent() => _queue.Rent();

    /// <summary>Posts a message; it is sent, or dropped where the connection is lost. Any thread.</summary>
    public void Post(Outgoing message)
    {
        if (Environment.CurrentManagedThreadId == _ownThread)
        {
            if (!_failed && message.Length <= LargestCopy)
            {
                var place = Reserve(message.Length);
                message.HeadBytes.CopyTo(place);
                message.Body.CopyTo(place[message.HeadLength..]);
                Commit(message.Length);
                Retire(message);
                return;
            }

            // What is in the batch comes first: chunks of one reply keep their order.
            if (_batchLength > 0)
                QueueBatch();
        }

        if (_failed || !_queue.TryAdd(message))
        {
            Retire(message);
            return;
        }

        Drain();
    }

    /// <summary>Room for <paramref name="size"/> bytes in the batch; take it up with <see cref="Commit"/>. The connection's thread only.</summary>
    public Span<byte> Reserve(int size)
    {
        if (_batch is not null && _batch.Array.Length - _batchLength < size)
            Flush();
        _batch ??= _pool.Rent(Math.Max(ScratchSize, size));
        return _batch.Array.AsSpan(_batchLength, size);
    }

    public void Commit(int size) => _batchLength += size;

    /// <summary>Sends the batch, or queues it where the line is busy or full. The connection's thread only.</summary>
    public void Flush()
    {
        if (_batchLength == 0)
            return;
        if (!TrySendNow(default))
            QueueBatch();
        Drain();
    }

    /// <summary>Sends the batch, then a message whose body is on loan. The connection's thread only.</summary>
    public void SendLent(ReadOnlySpan<byte> head, LentMemory lent)
    {
        head.CopyTo(Reserve(head.Length));
        Commit(head.Length);
        if (TrySendNow(lent.Memory.Span))
        {
            lent.Dispose();
            Drain();
            return;
        }

        _batchLength -= head.Length;
        if (_batchLength > 0)
            QueueBatch();
        var message = _queue.Rent();
        head.CopyTo(message.Head);
        message.HeadLength = head.Length;
        message.SetBody(lent);
        message.EndsOperation = true;
        _flight.Begin();
        Post(message);
    }

    /// <summary>Sends all that was posted, ends the sending thread, and gives every buffer back. Nothing may be posted by the connection's thread any more.</summary>
    public void Dispose()
    {
        Flush();
        _batch?.Release();
        _batch = null;
        _batchLength = 0;
        _queue.Close();
        _sender.Dispose();
        lock (_line)
            SendQueued(mayWait: true);
    }

    private bool TrySendNow(ReadOnlySpan<byte> body)
    {
        if (!_queue.IsEmpty || !Monitor.TryEnter(_line))
            return false;
        try
        {
            if (_failed)
            {
                _batchLength = 0;
                return true;
            }

            if (!_queue.IsEmpty || _channel.SendRoom(_batchLength + body.Length) < _batchLength + body.Length)
                return false;
            SendBytes(_batch!.Array.AsSpan(0, _batchLength));
            _batchLength = 0;
            _batch.Release();
            _batch = null;
            if (body.Length > 0)
                SendBytes(body);
            return true;
        }
        catch (IOException)
        {
            Fail();
            _batchLength = 0;
            return true;
        }
        finally
        {
            Monitor.Exit(_line);
        }
    }

    private void QueueBatch()
    {
        var message = _queue.Rent();
        _batch!.Charge(_flight);
        message.SetBody(_batch, 0, _batchLength);
        _batch = null;
        _batchLength = 0;
        if (!_queue.TryAdd(message))
            Retire(message);
    }

    private void Drain()
    {
        while (!_queue.IsEmpty)
        {
            // Whoever holds the line comes here after letting it go.
            if (!Monitor.TryEnter(_line))
                return;
            bool sentAll;
            try
            {
                sentAll = SendQueued(mayWait: false);
            }
            finally
            {
                Monitor.Exit(_line);
            }

            if (sentAll)
                continue;
            if (_sender.TryWake())
                return;

            // No thread is left: the connection is lost, and the next round drops what waits.
            lock (_line)
                Fail();
        }
    }

    /// <summary>Sends what is queued; false where something is left that would have to wait. The caller holds the line.</summary>
    private bool SendQueued(bool mayWait)
    {
        if (_queue.IsEmpty)
            return true;
        PooledBuffer? scratch = null;
        _isSendingQueued = true;
        try
        {
            while (!_queue.IsEmpty)
            {
                int room = mayWait || _failed ? int.MaxValue : _channel.SendRoom(LargestSend);
                SendWhatFits(room, ref scratch);
                if (!mayWait && !_failed && !_queue.IsEmpty)
                    return false;
            }
        }
        catch (IOException)
        {
            Fail();
            while (_queue.TryTake(int.MaxValue) is { } message)
                Retire(message);
        }
        finally
        {
            scratch?.Release();
            _isSendingQueued = false;
        }

        return true;
    }

    private void SendWhatFits(int room, ref PooledBuffer? scratch)
    {
        int used = 0;
        while (_queue.TryTake(room) is { } message)
        {
            room -= room == int.MaxValue ? 0 : message.Length;
            try
            {
                if (_failed)
                    continue;
                scratch ??= _pool.Rent(ScratchSize);
                bool copies = message.Length <= LargestCopy;
                if (used + (copies ? message.Length : message.HeadLength) > scratch.Array.Length)
                {
                    SendBytes(scratch.Array.AsSpan(0, used));
                    used = 0;
                }

                message.HeadBytes.CopyTo(scratch.Array.AsSpan(used));
                used += message.HeadLength;
                if (copies)
                {
                    message.Body.CopyTo(scratch.Array.AsSpan(used));
                    used += message.Length - message.HeadLength;
                }
                else
                {
                    SendBytes(scratch.Array.AsSpan(0, used));
                    used = 0;
                    SendBytes(message.Body);
                }
            }
            finally
            {
                Retire(message);
            }
        }

        if (used > 0)
            SendBytes(scratch!.Array.AsSpan(0, used));
    }

    private void SendBytes(ReadOnlySpan<byte> bytes)
    {
        // In pieces, so that a slow reader shows progress before its time is over.
        while (bytes.Length > 0)
        {
            int count = Math.Min(bytes.Length, LargestSend);
            _progress.BeginSend();
            _channel.Send(bytes[..count]);
            _progress.EndSend();
            bytes = bytes[count..];
        }
    }

    private void Fail()
    {
        _failed = true;
        _progress.EndSend();
        _channel.Abort();
    }

    private void Retire(Outgoing message)
    {
        bool endsOperation = message.EndsOperation;
        message.Clear();
        _queue.Return(message);
        if (endsOperation)
            _flight.End();
    }

    private void SendAll()
    {
        lock (_line)
            SendQueued(mayWait: true);
        Drain();
    }
}
