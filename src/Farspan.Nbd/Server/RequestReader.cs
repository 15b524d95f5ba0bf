using Farspan.Nbd.Protocol;
using Farspan.Transports;

namespace Farspan.Nbd.Server;

/// <summary>
/// Receives as much as is there into a block, and hands out what is complete where it lies. Bytes that a request still uses keep their
/// block; the rest moves on to another one. The connection's thread only.
/// </summary>
internal sealed class RequestReader : IDisposable
{
    /// <summary>Payloads up to this are used where they were received; longer ones are received straight into a buffer of their own.</summary>
    public const int LargestInBlock = 128 << 10;

    private const int MostReceivesBeforeFlush = 16;
    private const int FirstBlock = 32 << 10;
    private const int LargestBlock = 256 << 10;
    private const int LeastFree = 4 << 10;

    private readonly ByteChannel _channel;
    private readonly BufferPool _pool;
    private readonly Flight _flight;
    private readonly ConnectionProgress _progress;
    private readonly Outbox _outbox;
    private readonly InputSpin? _spin;
    private PooledBuffer _block;
    private int _start;
    private int _end;
    private int _wantedBlock = FirstBlock;
    private bool _headerAlone;
    private int _receivesSinceFlush;

    public RequestReader(ByteChannel channel, BufferPool pool, Flight flight, ConnectionProgress progress, Outbox outbox)
    {
        _channel = channel;
        _pool = pool;
        _flight = flight;
        _progress = progress;
        _outbox = outbox;
        _spin = channel.KnowsInput ? new InputSpin(channel, Environment.ProcessorCount) : null;
        _block = pool.Rent(FirstBlock);
    }

    /// <summary>The block that holds what <see cref="TryBuffer"/> found; add a reference to keep it.</summary>
    public PooledBuffer Block => _block;

    /// <summary>Where in <see cref="Block"/> the next byte is.</summary>
    public int Position => _start;

    public int Buffered => _end - _start;

    public ReadOnlySpan<byte> BufferedBytes => _block.Array.AsSpan(_start, _end - _start);

    /// <summary>Waits until <paramref name="length"/> bytes (up to <see cref="LargestInBlock"/>) lie in the block; false at the end of the line.</summary>
    public bool TryBuffer(int length, bool withinMessage)
    {
        while (_end - _start < length)
        {
            MakeRoom(length);
            var room = _block.Array.AsSpan(_end);
            if (_headerAlone)
                room = room[..(length - (_end - _start))];
            if (!Receive(room, withinMessage || _end > _start, out int count))
                return false;
            _end += count;
            if (_end == _block.Array.Length)
                _wantedBlock = LargestBlock;
        }

        return true;
    }

    public void Consume(int length) => _start += length;

    /// <summary>
    /// Receives no more than the next header with it: long writes come in series, and what came in of a payload would have to be moved.
    /// </summary>
    public void ExpectHeader() => _headerAlone = true;

    /// <summary>Receives whatever is there.</summary>
    public void ExpectAnything() => _headerAlone = false;

    /// <summary>Fills <paramref name="destination"/> with the next bytes; false at the end of the line.</summary>
    public bool TryReadInto(Span<byte> destination)
    {
        int copied = Math.Min(destination.Length, _end - _start);
        _block.Array.AsSpan(_start, copied).CopyTo(destination);
        _start += copied;
        destination = destination[copied..];
        while (destination.Length > 0)
        {
            if (!Receive(destination, withinMessage: true, out int count))
                return false;
            destination = destination[count..];
        }

        return true;
    }

    /// <summary>Receives and forgets; false at the end of the line.</summary>
    public bool TrySkip(ulong length)
    {
        while (length > 0)
        {
            if (_end == _start && !TryBuffer(1, withinMessage: true))
                return false;
            int count = (int)Math.Min(length, (ulong)(_end - _start));
            _start += count;
            length -= (uint)count;
        }

        return true;
    }

    public void Dispose() => _block.Release();

    private bool Receive(Span<byte> destination, bool withinMessage, out int count)
    {
        // Replies wait for company as long as there is something to receive, but not for long.
        if (_outbox.HasBatch && (++_receivesSinceFlush >= MostReceivesBeforeFlush || !_channel.HasInput()))
        {
            _outbox.Flush();
            _receivesSinceFlush = 0;
        }

        _spin?.Run();
        _progress.BeginReceive(withinMessage);
        count = _channel.Receive(destination);
        _progress.EndReceive();
        return count > 0;
    }

    /// <summary>Makes the block hold what is buffered and <paramref name="length"/> bytes in all.</summary>
    private void MakeRoom(int length)
    {
        int buffered = _end - _start;
        bool unshared = _block.IsUnshared;
        if (buffered == 0 && unshared)
            _start = _end = 0;
        int capacity = _block.Array.Length;
        if (capacity - _start >= length && capacity - _end >= Math.Min(LeastFree, length - buffered))
            return;
        int wanted = Math.Max(_wantedBlock, length + RequestHeader.ExtendedSize);
        if (unshared && capacity >= wanted)
        {
            _block.Array.AsSpan(_start, buffered).CopyTo(_block.Array);
        }
        else
        {
            var next = _pool.Rent(wanted);
            _block.Array.AsSpan(_start, buffered).CopyTo(next.Array);
            if (!unshared)
                _block.Charge(_flight);
            _block.Release();
            _block = next;
        }

        _start = 0;
        _end = buffered;
    }
}
