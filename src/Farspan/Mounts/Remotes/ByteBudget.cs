using Farspan.Waiting;

namespace Farspan.Mounts.Remotes;

/// <summary>Bytes that buffers may take. Those who wait are served in turn; those who do not wait leave a part to them. Thread-safe.</summary>
internal sealed class ByteBudget(long total, long totalWithoutWaiting)
{
    private readonly Lock _gate = new();
    private readonly Queue<(long Bytes, Signal Granted)> _waiting = new();
    private long _used;

    public long Used => Volatile.Read(ref _used);

    /// <summary>Takes bytes, if enough are free after those who wait were served.</summary>
    public bool TryTake(long bytes)
    {
        lock (_gate)
        {
            if (_waiting.Count > 0 || (_used > 0 && _used + bytes > totalWithoutWaiting))
                return false;
            _used += bytes;
            return true;
        }
    }

    /// <summary>Takes bytes as soon as enough are free. What is taken must be given back, whatever happens to the waiter.</summary>
    public Task TakeAsync(long bytes)
    {
        lock (_gate)
        {
            if (_waiting.Count == 0 && Fits(bytes))
            {
                _used += bytes;
                return Task.CompletedTask;
            }

            var granted = new Signal();
            _waiting.Enqueue((bytes, granted));
            return granted.WaitAsync(CancellationToken.None);
        }
    }

    /// <summary>Gives bytes back.</summary>
    public void Return(long bytes)
    {
        List<Signal>? granted = null;
        lock (_gate)
        {
            _used -= bytes;
            while (_waiting.TryPeek(out var next) && Fits(next.Bytes))
            {
                _waiting.Dequeue();
                _used += next.Bytes;
                (granted ??= []).Add(next.Granted);
            }
        }

        foreach (var signal in granted ?? [])
            signal.Set();
    }

    private bool Fits(long bytes) => _used == 0 || _used + bytes <= total;
}
