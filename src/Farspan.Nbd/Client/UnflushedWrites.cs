using System.Diagnostics.CodeAnalysis;

namespace Farspan.Nbd.Client;

/// <summary>
/// Keeps what was written and not flushed yet, so that it can be written again to a server that came back without it. A write is copied in
/// before it is sent, counts as unflushed once it was acknowledged, and leaves when a flush that was called after that has completed. The
/// copies lie in one ring of fixed size that is taken when first needed and touched only as far as it is used. Not thread-safe.
/// </summary>
internal sealed class UnflushedWrites(int budget)
{
    /// <summary>The least room that a write takes up, which bounds their number.</summary>
    private const int LeastRoom = 512;

    private readonly Queue<UnflushedWrite> _order = new();
    private readonly Queue<UnflushedWrite> _acknowledged = new();
    private readonly Stack<UnflushedWrite> _pool = new();
    private byte[]? _ring;
    private int _tail;

    /// <summary>Whether nothing was acknowledged that is not flushed.</summary>
    public bool IsEmpty => _acknowledged.Count == 0;

    /// <summary>Bytes that a flush would free.</summary>
    public int Flushable { get; private set; }

    /// <summary>Whether it is time to flush.</summary>
    public bool IsHalfFull => Flushable >= budget / 2;

    /// <summary>Takes room for a write of <paramref name="dataLength"/> bytes, 0 for a zeroing; false where there is none now.</summary>
    public bool TryReserve(int dataLength, [NotNullWhen(true)] out UnflushedWrite? write)
    {
        write = null;
        int room = Math.Max(LeastRoom, dataLength);
        if (!TryPlace(room, out int start))
            return false;
        _ring ??= GC.AllocateUninitializedArray<byte>(budget);
        write = _pool.TryPop(out var used) ? used : new UnflushedWrite();
        write.Data = _ring.AsMemory(start, dataLength);
        write.Sequence = 0;
        write.IsOver = false;
        write.Start = start;
        write.Room = room;
        _tail = start + room;
        _order.Enqueue(write);
        return true;
    }

    /// <summary>The write was acknowledged, as the change of this number, which grows with every call.</summary>
    public void Acknowledge(UnflushedWrite write, long sequence)
    {
        write.Sequence = sequence;
        Flushable += write.Room;
        _acknowledged.Enqueue(write);
    }

    /// <summary>The write failed, or its caller gave up: it was never acknowledged to him.</summary>
    public void Drop(UnflushedWrite write)
    {
        write.IsOver = true;
        Collect();
    }

    /// <summary>A sender has what it needs. Another may still be at it.</summary>
    public void EndSending(UnflushedWrite write)
    {
        write.Senders--;
        Collect();
    }

    /// <summary>All changes up to <paramref name="mark"/> are durable.</summary>
    public void Release(long mark)
    {
        while (_acknowledged.TryPeek(out var write) && write.Sequence <= mark)
        {
            _acknowledged.Dequeue();
            Flushable -= write.Room;
            write.IsOver = true;
        }

        Collect();
    }

    /// <summary>What must be written again, in the order of acknowledgements.</summary>
    public IReadOnlyList<UnflushedWrite> Acknowledged() => [.. _acknowledged];

    private bool TryPlace(int room, out int start)
    {
        start = 0;
        if (!_order.TryPeek(out var oldest))
            return room <= budget;
        int head = oldest.Start;
        if (_tail > head)
        {
            start = _tail;
            if (room <= budget - _tail)
                return true;
            start = 0;
            return room <= head;
        }

        start = _tail;
        return room <= head - _tail;
    }

    private void Collect()
    {
        while (_order.TryPeek(out var write) && write.IsOver && write.Senders == 0)
        {
            _order.Dequeue();
            write.Data = default;
            _pool.Push(write);
        }
    }
}
