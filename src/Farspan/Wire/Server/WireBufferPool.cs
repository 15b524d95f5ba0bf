using System.Numerics;

namespace Farspan.Wire.Server;

/// <summary>The server's buffers, in powers of two plus room for a header, some of each size kept. Safe for all threads.</summary>
internal sealed class WireBufferPool
{
    /// <summary>Room beyond the power of two, so that a header and a payload of a power of two fit one buffer.</summary>
    private const int Extra = 64;

    private const int SmallestShift = 12;
    private const int KeptBytesEachSize = 16 << 20;

    private readonly Stack<WireBuffer>[] _kept = [.. Enumerable.Range(0, 32 - SmallestShift).Select(_ => new Stack<WireBuffer>())];
    private int _outstanding;

    /// <summary>Buffers that are rented now.</summary>
    public int Outstanding => Volatile.Read(ref _outstanding);

    /// <summary>The size of the buffer that is given for <paramref name="size"/> bytes.</summary>
    public static int Capacity(int size) => (int)BitOperations.RoundUpToPowerOf2((uint)Math.Max(1 << SmallestShift, size - Extra)) + Extra;

    public WireBuffer Rent(int size)
    {
        Interlocked.Increment(ref _outstanding);
        int capacity = Capacity(size);
        var kept = _kept[Index(capacity)];
        lock (kept)
        {
            if (kept.TryPop(out var buffer))
                return buffer;
        }

        return new WireBuffer(this, capacity);
    }

    public void Return(WireBuffer buffer)
    {
        Interlocked.Decrement(ref _outstanding);
        var kept = _kept[Index(buffer.Array.Length)];
        lock (kept)
        {
            if (kept.Count < Math.Max(2, KeptBytesEachSize / buffer.Array.Length))
                kept.Push(buffer);
        }
    }

    private static int Index(int capacity) => BitOperations.Log2((uint)capacity) - SmallestShift;
}
