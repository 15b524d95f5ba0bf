namespace Farspan.Nbd.Server;

/// <summary>The bytes that the requests of all connections hold, and the threads that wait for some to come back. Safe for all threads.</summary>
internal sealed class ServerBudget(long limit)
{
    private readonly object _gate = new();
    private long _bytes;
    private int _waiting;

    public long Bytes => Volatile.Read(ref _bytes);

    public bool HasRoom(int bytes) => Volatile.Read(ref _bytes) + bytes <= limit;

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
