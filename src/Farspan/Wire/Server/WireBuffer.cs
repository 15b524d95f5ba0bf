namespace Farspan.Wire.Server;

/// <summary>Memory with a count of its users, back in its pool when the last is gone. What it held before is still in it.</summary>
internal sealed class WireBuffer(WireBufferPool pool, int capacity)
{
    private int _references = 1;
    private MemoryBudget? _budget;

    public byte[] Array { get; } = GC.AllocateUninitializedArray<byte>(capacity, pinned: true);

    public bool IsShared => Volatile.Read(ref _references) > 1;

    public void AddReference() => Interlocked.Increment(ref _references);

    /// <summary>Counts the buffer among what <paramref name="budget"/> allows until it goes back.</summary>
    public void Charge(MemoryBudget budget)
    {
        _budget = budget;
        budget.Add(Array.Length);
    }

    public void Release()
    {
        if (Interlocked.Decrement(ref _references) != 0)
            return;
        var budget = _budget;
        _budget = null;
        _references = 1;
        pool.Return(this);
        budget?.Remove(Array.Length);
    }
}
