using Farspan.Backends;
using Farspan.Checksums;
using Farspan.Transports;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Server;

/// <summary>
/// Sends a connection's replies. Those that the connection's thread has at once gather in a batch that it sends before it waits; those that
/// come later go through a queue to a thread of their own, so that a peer who takes nothing holds up no thread of the pool. What waits here is
/// bounded by the requests in flight.
/// </summary>
internal sealed class Outbox(ByteChannel line, Flight flight, WireBufferPool pool, Action<string> fail, TimeProvider clock)
{
    private const int BatchSize = 256 << 10;
    private const int CopiedPayload = 16 << 10;

    /// <summary>The most that one send takes, so that a slow line shows progress.</summary>
    private const int LargestSend = 256 << 10;

    private readonly Lock _sendGate = new();
    private readonly object _queueGate = new();
    private readonly Queue<Outgoing> _queue = new();
    private WireBuffer? _batch;
    private int _filled;
    private int _batched;
    private Thread? _thread;
    private bool _stopped;
    private volatile bool _failed;
    private long _sendingSince;

    public bool HasFailed => _failed;

    /// <summary>Where it sends; set only while nobody does.</summary>
    public ByteChannel Line { get; set; } = line;

    /// <summary>Whether payloads have checksums.</summary>
    public bool HasChecksums { get; set; } = true;

    /// <summary>When the send that runs now began, as a timestamp of the clock; 0 when none does.</summary>
    public long SendingSince => Volatile.Read(ref _sendingSince);

    /// <summary>Room for a reply's payload in the batch. The connection's thread only; <see cref="Commit"/> or <see cref="Detach"/> or nothing follows.</summary>
    public Memory<byte> Reserve(int payloadLength)
    {
        if (_filled + WireFrame.Size + payloadLength > BatchSize)
            Flush();
        _batch ??= pool.Rent(BatchSize);
        return _batch.Array.AsMemory(_filled + WireFrame.Size, payloadLength);
    }

    /// <summary>Puts the reply, whose payload is where <see cref="Reserve"/> said, into the batch.</summary>
    public void Commit(in WireFrame reply, int payloadLength)
    {
        var bytes = _batch!.Array.AsSpan(_filled);
        (reply with { PayloadLength = payloadLength, PayloadChecksum = ChecksumOf(bytes.Slice(WireFrame.Size, payloadLength)) }).WriteReply(bytes);
        _filled += WireFrame.Size + payloadLength;
        _batched++;
    }

    /// <summary>Gives up the batch's buffer, where someone now fills what was reserved last, after sending what is before that.</summary>
    public (WireBuffer Buffer, int Position) Detach()
    {
        var buffer = _batch!;
        int position = _filled;
        buffer.AddReference();
        Flush();
        _batch?.Release();
        _batch = null;
        return (buffer, position);
    }

    /// <summary>Puts a reply with a short payload, or none, into the batch. The connection's thread only.</summary>
    public void Add(in WireFrame reply, ReadOnlySpan<byte> payload = default)
    {
        payload.CopyTo(Reserve(payload.Length).Span);
        Commit(reply, payload.Length);
    }

    /// <summary>Sends a reply whose payload is behind room for its header at the buffer's start. The connection's thread only; it keeps its reference.</summary>
    public void SendNow(in WireFrame reply, WireBuffer buffer, int payloadLength)
    {
        Flush();
        var bytes = buffer.Array.AsSpan(0, WireFrame.Size + payloadLength);
        (reply with { PayloadLength = payloadLength, PayloadChecksum = ChecksumOf(bytes[WireFrame.Size..]) }).WriteReply(bytes);
        lock (_sendGate)
            Send(bytes);
    }

    /// <summary>
    /// Sends a reply with bytes on loan behind it, and ends the loan. The connection's thread only, and where payloads have no checksums: the
    /// bytes may change until they are sent.
    /// </summary>
    public void SendLent(in WireFrame reply, LentMemory lent)
    {
        Reserve(0);
        (reply with { PayloadLength = lent.Memory.Length }).WriteReply(_batch!.Array.AsSpan(_filled));
        _filled += WireFrame.Size;
        _batched++;
        lock (_sendGate)
        {
            Send(_batch.Array.AsSpan(0, _filled));
            Send(lent.Memory.Span);
        }

        lent.Dispose();
        EndBatch();
    }

    /// <summary>Sends the batch. The connection's thread only.</summary>
    public void Flush()
    {
        if (_filled == 0)
            return;
        lock (_sendGate)
            Send(_batch!.Array.AsSpan(0, _filled));
        EndBatch();
    }

    private void EndBatch()
    {
        _filled = 0;
        for (; _batched > 0; _batched--)
            flight.End();
        if (_batch!.IsShared)
        {
            _batch.Release();
            _batch = null;
        }
    }

    /// <summary>Hands a reply over, with its operation in flight, which ends once it was sent. Any thread.</summary>
    public void Enqueue(in Outgoing reply)
    {
        lock (_queueGate)
        {
            if (!_stopped)
            {
                _queue.Enqueue(reply);
                if (_thread is null)
                {
                    _thread = new Thread(RunThread, 256 << 10) { IsBackground = true, Name = "farspan replies" };
                    _thread.Start();
                }
                else if (_queue.Count == 1)
                {
                    Monitor.Pulse(_queueGate);
                }

                return;
            }
        }

        Drop(reply);
    }

    /// <summary>Says that nothing more is sent. TLS says so in bytes of its own, which a peer may leave untaken like any others.</summary>
    public void FinishSending()
    {
        if (_failed)
            return;
        Volatile.Write(ref _sendingSince, Math.Max(1, clock.GetTimestamp()));
        Line.FinishSending();
        Volatile.Write(ref _sendingSince, 0);
    }

    /// <summary>Ends the sender's thread after what is queued, once nothing is in flight, and gives back the batch.</summary>
    public void Stop()
    {
        lock (_queueGate)
        {
            _stopped = true;
            Monitor.Pulse(_queueGate);
        }

        _thread?.Join();
        _batch?.Release();
        _batch = null;
    }

    private void RunThread()
    {
        byte[] scratch = GC.AllocateUninitializedArray<byte>(64 << 10, pinned: true);
        var taken = new List<Outgoing>();
        while (true)
        {
            lock (_queueGate)
            {
                while (_queue.Count == 0 && !_stopped)
                    Monitor.Wait(_queueGate);
                if (_queue.Count == 0)
                    return;
                while (_queue.TryDequeue(out var reply))
                    taken.Add(reply);
            }

            lock (_sendGate)
                SendAll(taken, scratch);
            taken.ForEach(Drop);
            taken.Clear();
        }
    }

    private void SendAll(List<Outgoing> replies, byte[] scratch)
    {
        int filled = 0;
        foreach (var reply in replies)
        {
            var payload = reply.Buffer is { } buffer
                ? buffer.Array.AsSpan(reply.Position + WireFrame.Size, reply.Frame.PayloadLength)
                : reply.Message.AsSpan();
            var frame = reply.Frame with { PayloadLength = payload.Length, PayloadChecksum = ChecksumOf(payload) };
            bool isCopied = payload.Length <= CopiedPayload;
            if (filled + WireFrame.Size + (isCopied ? payload.Length : 0) > scratch.Length || !isCopied)
            {
                Send(scratch.AsSpan(0, filled));
                filled = 0;
            }

            if (isCopied)
            {
                frame.WriteReply(scratch.AsSpan(filled));
                payload.CopyTo(scratch.AsSpan(filled + WireFrame.Size));
                filled += WireFrame.Size + payload.Length;
            }
            else if (reply.Buffer is null)
            {
                frame.WriteReply(scratch);
                Send(scratch.AsSpan(0, WireFrame.Size));
                Send(payload);
            }
            else
            {
                var whole = reply.Buffer.Array.AsSpan(reply.Position, WireFrame.Size + payload.Length);
                frame.WriteReply(whole);
                Send(whole);
            }
        }

        Send(scratch.AsSpan(0, filled));
    }

    private void Send(ReadOnlySpan<byte> bytes)
    {
        try
        {
            for (; bytes.Length > 0 && !_failed; bytes = bytes[Math.Min(bytes.Length, LargestSend)..])
            {
                Volatile.Write(ref _sendingSince, Math.Max(1, clock.GetTimestamp()));
                Line.Send(bytes[..Math.Min(bytes.Length, LargestSend)]);
            }
        }
        catch (IOException error)
        {
            _failed = true;
            fail(error.Message);
        }
        finally
        {
            Volatile.Write(ref _sendingSince, 0);
        }
    }

    private uint ChecksumOf(ReadOnlySpan<byte> payload) => HasChecksums && payload.Length > 0 ? Crc32C.Compute(payload) : 0;

    private void Drop(Outgoing reply)
    {
        reply.Buffer?.Release();
        flight.End();
    }
}
