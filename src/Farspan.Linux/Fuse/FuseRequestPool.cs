namespace Farspan.Linux.Fuse;

/// <summary>The bounded set of requests of one mount. Renting waits while all are in use, which leaves further ones queued in the kernel.</summary>
internal sealed class FuseRequestPool(int limit, int payloadCapacity) : IDisposable
{
    private readonly List<FuseRequest> _all = [];
    private readonly Stack<FuseRequest> _free = new(limit);
    private bool _isClosed;

    /// <summary>Rents a request; null once the pool is closed.</summary>
    public FuseRequest? Rent()
    {
        lock (_free)
        {
            while (true)
            {
                if (_isClosed)
                    return null;
                if (_free.TryPop(out var free))
                    return free;
                if (_all.Count < limit)
                {
                    var added = new FuseRequest(payloadCapacity);
                    _all.Add(added);
                    return added;
                }

                Monitor.Wait(_free);
            }
        }
    }

    public void Return(FuseRequest request)
    {
        lock (_free)
        {
            _free.Push(request);
            Monitor.PulseAll(_free);
        }
    }

    /// <summary>Lends nothing any more; who waits in <see cref="Rent"/> gets null.</summary>
    public void Close()
    {
        lock (_free)
        {
            _isClosed = true;
            Monitor.PulseAll(_free);
        }
    }

    /// <summary>Waits until every request has come back; false when <paramref name="timeout"/> is over first.</summary>
    public bool WaitUntilIdle(TimeSpan timeout, TimeProvider clock)
    {
        long start = clock.GetTimestamp();
        lock (_free)
        {
            while (_free.Count < _all.Count)
            {
                var left = timeout - clock.GetElapsedTime(start);
                if (left <= TimeSpan.Zero)
                    return false;
                Monitor.Wait(_free, left);
            }
        }

        return true;
    }

    /// <summary>Every request there is, in use or not.</summary>
    public FuseRequest[] Snapshot()
    {
        lock (_free)
            return [.. _all];
    }

    /// <summary>Frees the memory; all requests have come back.</summary>
    public void Dispose()
    {
        foreach (IDisposable request in _all)
            request.Dispose();
    }
}
