namespace Farspan.Nbd.Server;

/// <summary>
/// What one connection has in flight: requests, from the start of their work to the sending of their reply, and the bytes of their buffers.
/// One thread starts requests and waits here for room; any thread ends them.
/// </summary>
internal sealed class Flight(int maximumOperations, long maximumBytes, ServerBudget budget)
{
    private readonly object _gate = new();
    private int _operations;
    private long _bytes;
    private int _waiting;
    private volatile bool _aborted;
    private volatile bool _stopping;

    public int Operations => Volatile.Read(ref _operations);

    public long Bytes => Volatile.Read(ref _bytes);

    public bool IsAborted => _aborted;

    /// <summary>Set when the server stops: what is in flight goes on, nothing more is started.</summary>
    public bool IsStopping => _stopping;

    public void BeginStopping() => _stopping = true;

    public void Begin() => Interlocked.Increment(ref _operations);

    public void End()
    {
        Interlocked.Decrement(ref _operations);
        Wake();
    }

    public void AddBytes(int bytes)
    {
        Interlocked.Add(ref _bytes, bytes);
        budget.Add(bytes);
    }

    public void RemoveBytes(int bytes)
    {
        Interlocked.Add(ref _bytes, -bytes);
        budget.Add(-bytes);
    }

    /// <summary>Whether a request may start without waiting.</summary>
    public bool HasRoomForOperation => Volatile.Read(ref _operations) < maximumOperations;

    /// <summary>Whether <paramref name="bytes"/> more may be held. What holds nothing may always have them.</summary>
    public bool HasRoomForBytes(int bytes)
    {
        long held = Volatile.Read(ref _bytes);
        return held == 0 || (held + bytes <= maximumBytes && budget.HasRoom(bytes));
    }

    /// <summary>Waits until a request may start; false once aborted.</summary>
    public bool WaitForOperation() => Wait(static (flight, _) => flight.HasRoomForOperation, 0);

    /// <summary>Waits until <paramref name="bytes"/> more may be held; false once aborted.</summary>
    public bool WaitForBytes(int bytes)
    {
        if (!HasRoomForBytes(bytes))
            budget.WaitFor(() => _aborted || HasRoomForBytes(bytes));
        return !_aborted;
    }

    /// <summary>Counts <paramref name="bytes"/> more where they may be held. The starting thread only.</summary>
    public bool TryTakeBytes(int bytes)
    {
        long held = Volatile.Read(ref _bytes);
        if (held == 0)
        {
            AddBytes(bytes);
            return true;
        }

        if (held + bytes > maximumBytes || !budget.TryAdd(bytes))
            return false;
        Interlocked.Add(ref _bytes, bytes);
        return true;
    }

    /// <summary>Waits until it could count <paramref name="bytes"/> more; false once aborted.</summary>
    public bool WaitToTakeBytes(int bytes)
    {
        bool taken = false;
        budget.WaitFor(() => _aborted || (taken = TryTakeBytes(bytes)));
        return taken;
    }

    /// <summary>Waits until nothing is in flight; false where that takes longer than <paramref name="timeout"/>, or <paramref name="giveUp"/> says so.</summary>
    public bool WaitUntilIdle(TimeSpan timeout, Func<bool>? giveUp = null)
    {
        long deadline = timeout == Timeout.InfiniteTimeSpan ? long.MaxValue : Environment.TickCount64 + (long)timeout.TotalMilliseconds;
        Interlocked.Increment(ref _waiting);
        lock (_gate)
        {
            while (Volatile.Read(ref _operations) > 0 && giveUp?.Invoke() != true)
            {
                long left = deadline - Environment.TickCount64;
                if (left <= 0)
                    break;
                Monitor.Wait(_gate, (int)Math.Min(left, 1000));
            }
        }

        Interlocked.Decrement(ref _waiting);
        return Operations == 0;
    }

    /// <summary>Ends every wait for room, now and later.</summary>
    public void Abort()
    {
        _aborted = true;
        lock (_gate)
            Monitor.PulseAll(_gate);
        budget.WakeAll();
    }

    private bool Wait(Func<Flight, int, bool> ready, int argument)
    {
        if (ready(this, argument))
            return !_aborted;
        Interlocked.Increment(ref _waiting);
        lock (_gate)
        {
            while (!_aborted && !ready(this, argument))
                Monitor.Wait(_gate, 1000);
        }

        Interlocked.Decrement(ref _waiting);
        return !_aborted;
    }

    private void Wake()
    {
        if (Volatile.Read(ref _waiting) == 0)
            return;
        lock (_gate)
            Monitor.PulseAll(_gate);
    }
}
