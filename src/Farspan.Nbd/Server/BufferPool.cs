using System.Numerics;

namespace Farspan.Nbd.Server;

/// <summary>
/// The server's buffers, in powers of two from 4 KiB, kept for reuse up to a bound. What a buffer held before is still in it: whoever rents
/// one fills what it sends. Safe for all threads.
/// </summary>
internal sealed class BufferPool
{
    private const int SmallestShift = 12;
    private const int LargestKeptShift = 24;
    private const int KeptBytesEachSize = 16 << 20;

    private readonly Stack<PooledBuffer>[] _kept;
    private readonly Func<int, byte[]> _allocate;
    private int _outstanding;

    /// <param name="allocate">Makes an array; for tests of what happens where there is no memory.</param>
    public BufferPool(Func<int, byte[]>? allocate = null)
    {
        _allocate = allocate ?? (static capacity => GC.AllocateUninitializedArray<byte>(capacity));
        _kept = new Stack<PooledBuffer>[LargestKeptShift - SmallestShift + 1];
        for (int i = 0; i < _kept.Length; i++)
            _kept[i] = new Stack<PooledBuffer>(Math.Min(64, KeptBytesEachSize >> (i + SmallestShift)));
    }

    /// <summary>Buffers that are rented now.</summary>
    public int Outstanding => Volatile.Read(ref _outstanding);

    /// <summary>The size of the buffer that <see cref="Rent"/> gives for <paramref name="size"/> bytes.</summary>
    public static int Capacity(int size) => size <= 1 << SmallestShift ? 1 << SmallestShift : (int)BitOperations.RoundUpToPowerOf2((uint)size);

    /// <summary>A buffer of at least <paramref name="size"/> bytes with one reference, which the caller holds.</summary>
    /// <exception cref="OutOfMemoryException">There is no memory for it.</exception>
    public PooledBuffer Rent(int size)
    {
        int capacity = Capacity(size);
        int index = BitOperations.Log2((uint)capacity) - SmallestShift;
        if (index < _kept.Length)
        {
            var kept = _kept[index];
            lock (kept)
            {
                if (kept.TryPop(out var buffer))
                {
                    buffer.Reset();
                    Interlocked.Increment(ref _outstanding);
                    return buffer;
                }
            }
        }

        var made = new PooledBuffer(this, _allocate(capacity));
        Interlocked.Increment(ref _outstanding);
        return made;
    }

    public void Return(PooledBuffer buffer)
    {
        Interlocked.Decrement(ref _outstanding);
        int index = BitOperations.Log2((uint)buffer.Array.Length) - SmallestShift;
        if (index >= _kept.Length)
            return;
        var kept = _kept[index];
        lock (kept)
        {
            if (kept.Count < Math.Max(2, KeptBytesEachSize >> (index + SmallestShift)))
                kept.Push(buffer);
        }
    }
}
