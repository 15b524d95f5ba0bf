namespace Farspan.Nbd.Client;

/// <summary>
/// Reads a byte stream through a buffer: small messages are taken from the buffer, many from one read; long payloads go from the stream
/// straight to where they belong. Blocking; used by one thread.
/// </summary>
internal sealed class WireReader
{
    /// <summary>From this many missing bytes on, a payload is read without the detour through the buffer.</summary>
    public const int DirectLength = 16 << 10;

    private readonly Stream _stream;
    private readonly byte[] _buffer;
    private readonly Func<int>? _arrived;
    private int _start;
    private int _end;

    /// <summary>Reads a transport's stream.</summary>
    public WireReader(NbdTransport transport)
        : this(transport.Stream, GC.AllocateUninitializedArray<byte>(64 << 10, pinned: true), () => transport.Arrived)
    {
    }

    /// <summary>Reads a stream; <paramref name="arrived"/> tells how many bytes of it can be read without waiting, where that is known.</summary>
    public WireReader(Stream stream, byte[] buffer, Func<int>? arrived = null)
    {
        _stream = stream;
        _buffer = buffer;
        _arrived = arrived;
    }

    /// <summary>Bytes that were read and not taken.</summary>
    public int Buffered => _end - _start;

    /// <summary>Number of reads from the stream that brought something; tells a slow peer from a silent one. Read by other threads.</summary>
    public long Arrivals => Volatile.Read(ref _arrivals);

    private long _arrivals;

    /// <summary>The next <paramref name="count"/> bytes, at most half a buffer, valid until the next call.</summary>
    /// <exception cref="EndOfStreamException">The stream ended before.</exception>
    public ReadOnlySpan<byte> Peek(int count)
    {
        while (Buffered < count)
            Fill();
        return _buffer.AsSpan(_start, count);
    }

    /// <summary>Moves past bytes that were peeked.</summary>
    public void Advance(int count) => _start += count;

    /// <summary>The next <paramref name="count"/> bytes, valid until the next call, and moves past them.</summary>
    /// <exception cref="EndOfStreamException">The stream ended before.</exception>
    public ReadOnlySpan<byte> Take(int count)
    {
        var bytes = Peek(count);
        Advance(count);
        return bytes;
    }

    /// <summary>Waits until <see cref="ReadReady"/>, called for a payload of <paramref name="count"/> bytes, will not have to wait.</summary>
    /// <exception cref="EndOfStreamException">The stream ended before.</exception>
    public void WaitForPayload(int count)
    {
        if (Buffered == 0 && (count < DirectLength || _arrived is null || _arrived() == 0))
            Fill();
    }

    /// <summary>Reads what is there of a payload, without waiting, into the start of <paramref name="destination"/>; returns how much that is.</summary>
    public int ReadReady(Span<byte> destination)
    {
        if (Buffered == 0)
            return Receive(destination);
        int ready = Math.Min(Buffered, destination.Length);
        _buffer.AsSpan(_start, ready).CopyTo(destination);
        _start += ready;
        return ready;
    }

    /// <summary>Moves past <paramref name="count"/> bytes.</summary>
    /// <exception cref="EndOfStreamException">The stream ended before.</exception>
    public void Skip(long count)
    {
        while (count > 0)
        {
            if (Buffered == 0)
                Fill();
            int step = (int)Math.Min(Buffered, count);
            _start += step;
            count -= step;
        }
    }

    private void Fill()
    {
        if (_start == _end)
        {
            _start = _end = 0;
        }
        else if (_start > _buffer.Length / 2)
        {
            _buffer.AsSpan(_start, Buffered).CopyTo(_buffer);
            _end -= _start;
            _start = 0;
        }

        _end += Receive(_buffer.AsSpan(_end));
    }

    private int Receive(Span<byte> destination)
    {
        int count = _stream.Read(destination);
        if (count == 0)
            throw new EndOfStreamException();
        Volatile.Write(ref _arrivals, _arrivals + 1);
        return count;
    }
}
