namespace Farspan.Wire.Server;

/// <summary>
/// Bytes that may be held, of one connection and, in <paramref name="shared"/>, of all. Who holds nothing may always have what one request
/// needs, so that nobody is kept out by others. One thread of a connection waits here, any gives back.
/// </summary>
internal sealed class MemoryBudget(long limit, MemoryBudget? shared = null)
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(50);

    private readonly object _gate = new();
    private long _bytes;
    private int _waiting;
    private volatile bool _aborted;

    public long Bytes => Volatile.Read(ref _bytes);

    public void Add(int bytes)
    {
        Interlocked.Add(ref _bytes, bytes);
        shared?.Add(bytes);
    }

    public void Remove(int bytes)
    {
        Interlocked.Add(ref _bytes, -bytes);
        shared?.Remove(bytes);
        Wake();
    }

    public bool HasRoom(int bytes)
    {
        long held = Bytes;
        return held == 0 || (held + bytes <= limit && (shared is null || shared.Bytes + bytes <= shared.Limit));
    }

    /// <summary>Waits for room; false once aborted. What others hold is looked at again and again, since they wake only their own.</summary>
    public bool WaitForRoom(int bytes)
    {
        if (HasRoom(bytes))
            return !_aborted;
        Interlocked.Increment(ref _waiting);
        lock (_gate)
        {
            while (!_aborted && !HasRoom(bytes))
                Monitor.Wait(_gate, Look);
        }

        Interlocked.Decrement(ref _waiting);
        return !_aborted;
    }

    /// <summary>Ends every wait, now and later.</summary>
    public void Abort()
    {
        _aborted = true;
        lock (_gate)
            Monitor.PulseAll(_gate);
    }

    private long Limit => limit;

    private void Wake()
    {
        if (Volatile.Read(ref _waiting) == 0)
            return;
        lock (_gate)
            Monitor.PulseAll(_gate);
    }
}
