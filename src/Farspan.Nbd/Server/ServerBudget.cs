namespace Farspan.Nbd.Server;

/// <summary>The bytes that the requests of all connections hold, and the threads that wait for some to come back. Safe for all threads.</summary>
internal sealed class ServerBudget(long limit)
{
    private readonly object _gate = new();
    private long _bytes;
    private int _waiting;

    public long Bytes => Volatile.Read(ref _bytes);

    public bool HasRoom(int bytes) => Volatile.Read(ref _bytes) + bytes <= limit;

    /// <summary>Adds where the limit allows: of many who see the same room, only so many get it as it has place for.</summary>
    public bool TryAdd(int bytes)
    {
        long held = Volatile.Read(ref _bytes);
        while (held + bytes <= limit)
        {
            long seen = Interlocked.CompareExchange(ref _bytes, held + bytes, held);
            if (seen == held)
                return true;
            held = seen;
        }

        return false;
    }

    public void Add(long bytes)
    {
        Interlocked.Add(ref _bytes, bytes);
        if (bytes < 0 && Volatile.Read(ref _waiting) > 0)
            WakeAll();
    }

    /// <summary>Waits until <paramref name="ready"/> holds, which is asked again after each change and at least every second.</summary>
    public void WaitFor(Func<bool> ready)
    {
        Interlocked.Increment(ref _waiting);
        try
        {
            lock (_gate)
            {
                while (!ready())
                    Monitor.Wait(_gate, 1000);
            }
        }
        finally
        {
            Interlocked.Decrement(ref _waiting);
        }
    }

    public void WakeAll()
    {
        lock (_gate)
            Monitor.PulseAll(_gate);
    }
}
