using System.Diagnostics;

namespace Farspan.Nbd.Server;

/// <summary>An array of a <see cref="BufferPool"/> with a count of those who use it; it goes back with the last one.</summary>
internal sealed class PooledBuffer
{
    private readonly BufferPool _pool;
    private Flight? _charged;
    private int _references = 1;

    public PooledBuffer(BufferPool pool, byte[] array)
    {
        _pool = pool;
        Array = array;
    }

    public byte[] Array { get; }

    /// <summary>Whether the caller, who holds a reference and is the only one who may add more, holds the only one.</summary>
    public bool IsUnshared => Volatile.Read(ref _references) == 1;

    public void Reset()
    {
        Debug.Assert(_references == 0, "A buffer in the pool is in use.");
        _references = 1;
    }

    public void AddReference() => Interlocked.Increment(ref _references);

    /// <summary>Counts the buffer among what a connection holds, until it goes back.</summary>
    public void Charge(Flight flight)
    {
        if (_charged is not null)
            return;
        _charged = flight;
        flight.AddBytes(Array.Length);
    }

    /// <summary>Has the buffer give back, when it goes, what <paramref name="flight"/> has counted for it already.</summary>
    public void TakeCharge(Flight flight) => _charged = flight;

    public void Release()
    {
        int left = Interlocked.Decrement(ref _references);
        Debug.Assert(left >= 0, "A buffer was released twice.");
        if (left != 0)
            return;
        var charged = _charged;
        _charged = null;
        charged?.RemoveBytes(Array.Length);
        _pool.Return(this);
    }
}
