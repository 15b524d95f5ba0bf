namespace Farspan.Wire.Server;

/// <summary>The requests of one connection from the start of their work to the sending of their replies. One thread begins, any ends.</summary>
internal sealed class Flight(int maximum)
{
    private readonly object _gate = new();
    private int _count;
    private int _waiting;
    private bool _aborted;

    public int Count => Volatile.Read(ref _count);

    public bool HasRoom => Count < maximum;

    public void Begin() => Interlocked.Increment(ref _count);

    public void End()
    {
        Interlocked.Decrement(ref _count);
        if (Volatile.Read(ref _waiting) == 0)
            return;
        lock (_gate)
            Monitor.PulseAll(_gate);
    }

    /// <summary>Waits for room; false once aborted.</summary>
    public bool WaitForRoom() => HasRoom || Wait(maximum - 1, endsByAbort: true);

    /// <summary>Waits until nothing is in flight.</summary>
    public void WaitUntilIdle() => Wait(0, endsByAbort: false);

    public void Abort()
    {
        lock (_gate)
        {
            _aborted = true;
            Monitor.PulseAll(_gate);
        }
    }

    private bool Wait(int most, bool endsByAbort)
    {
        Interlocked.Increment(ref _waiting);
        bool done;
        lock (_gate)
        {
            while (!(done = Count <= most) && !(endsByAbort && _aborted))
                Monitor.Wait(_gate);
        }

        Interlocked.Decrement(ref _waiting);
        return done;
    }
}
