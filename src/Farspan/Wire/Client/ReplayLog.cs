using System.Diagnostics.CodeAnalysis;
using Farspan.Wire.Protocol;

namespace Farspan.Wire.Client;

/// <summary>
/// Copies of the writes that are not flushed, in one ring of fixed size. A write is copied in before it is sent (it is sent from here), counts as
/// acknowledged with the server's reply, and leaves when a flush that was called later has completed. All under the link's gate.
/// </summary>
internal sealed class ReplayLog(int budget)
{
    /// <summary>The least room of one, which bounds their number.</summary>
    private const int LeastRoom = 512;

    private readonly Queue<KeptWrite> _order = new();
    private readonly Queue<KeptWrite> _acknowledged = new();
    private readonly Stack<KeptWrite> _spare = new();
    private byte[]? _ring;
    private int _tail;
    private int _flushable;

    /// <summary>Writes acknowledged so far: what a flush that is called now covers.</summary>
    public long Mark { get; private set; }

    /// <summary>Whether it is time to flush.</summary>
    public bool IsHalfFull => _flushable >= budget / 2;

    public bool HasUnflushed => _acknowledged.Count > 0;

    /// <summary>Takes room for a write; false where there is none now.</summary>
    public bool TryReserve(int dataLength, [NotNullWhen(true)] out KeptWrite? write)
    {
        write = null;
        int room = Math.Max(LeastRoom, WireFrame.Size + dataLength);
        if (!TryPlace(room, out int start))
            return false;
        _ring ??= GC.AllocateUninitializedArray<byte>(budget, pinned: true);
        write = _spare.TryPop(out var used) ? used : new KeptWrite();
        write.Whole = _ring.AsMemory(start, WireFrame.Size + dataLength);
        write.Sequence = 0;
        write.IsOver = false;
        (write.Start, write.Room) = (start, room);
        _tail = start + room;
        _order.Enqueue(write);
        return true;
    }

    public void Acknowledge(KeptWrite write)
    {
        write.Sequence = ++Mark;
        _flushable += write.Room;
        _acknowledged.Enqueue(write);
    }

    /// <summary>The write failed or was given up.</summary>
    public void Drop(KeptWrite write)
    {
        write.IsOver = true;
        Collect();
    }

    /// <summary>A flush that was called at <paramref name="mark"/> has completed.</summary>
    public void Release(long mark)
    {
        while (_acknowledged.TryPeek(out var write) && write.Sequence <= mark)
        {
            _acknowledged.Dequeue();
            _flushable -= write.Room;
            write.IsOver = true;
        }

        Collect();
    }

    /// <summary>What must be written again, in an order that is right.</summary>
    public IReadOnlyList<KeptWrite> Acknowledged() => [.. _acknowledged];

    /// <summary>Frees what is over and nobody sends from, the oldest first.</summary>
    public void Collect()
    {
        while (_order.TryPeek(out var write) && write is { IsOver: true, Pins: 0 })
        {
            _order.Dequeue();
            write.Whole = default;
            _spare.Push(write);
        }

        if (_order.Count == 0)
            _tail = 0;
    }

    private bool TryPlace(int room, out int start)
    {
        start = _tail;
        if (!_order.TryPeek(out var oldest))
            return room <= budget;
        int head = oldest.Start;
        if (_tail <= head)
            return room <= head - _tail;
        if (room <= budget - _tail)
            return true;
        start = 0;
        return room <= head;
    }
}
