using System.Runtime.CompilerServices;

namespace Farspan.Chunks;

/// <summary>
/// Locks on ranges of chunks, shared or exclusive, first come first served. Ranges that do not meet never wait for each other, and a holder
/// that waits for nothing else cannot deadlock. What waits is exact (no stripes), costs one walk over the holds in flight, and allocates
/// nothing where nothing is in the way.
/// </summary>
/// <remarks>
/// Every hold counts the earlier holds that it conflicts with. A hold that ends lowers the count of the later ones; at zero they are granted.
/// A cancelled waiter ends like a hold, so that it takes its place in the queue with it.
/// </remarks>
internal sealed class ChunkRangeLock
{
    private const int MaximumSpare = 256;

    private readonly Lock _gate = new();
    private RangeHold? _first;
    private RangeHold? _last;
    private RangeHold? _spare;
    private int _spareCount;

    /// <summary>Waits until the chunks from <paramref name="firstChunk"/> to <paramref name="lastChunk"/>, both included, are held.</summary>
    /// <returns>The hold, to be given to <see cref="Release"/> exactly once.</returns>
    /// <exception cref="OperationCanceledException">Cancelled while it waited; nothing is held.</exception>
    public ValueTask<RangeHold> AcquireAsync(long firstChunk, long lastChunk, bool exclusive, CancellationToken cancellationToken)
    {
        RangeHold hold;
        int conflicts = 0;
        lock (_gate)
        {
            hold = TakeSpare();
            hold.FirstChunk = firstChunk;
            hold.LastChunk = lastChunk;
            hold.IsExclusive = exclusive;
            for (var other = _first; other is not null; other = other.Next)
            {
                if (other.ConflictsWith(hold))
                    conflicts++;
            }

            hold.Conflicts = conflicts;
            hold.Previous = _last;
            if (_last is null)
                _first = hold;
            else
                _last.Next = hold;
            _last = hold;
        }

        return conflicts == 0 ? new ValueTask<RangeHold>(hold) : WaitAsync(hold, cancellationToken);
    }

    /// <summary>Ends a hold.</summary>
    public void Release(RangeHold hold)
    {
        RangeHold? granted;
        lock (_gate)
        {
            granted = Remove(hold);
            ReturnSpare(hold);
        }

        Grant(granted);
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<RangeHold> WaitAsync(RangeHold hold, CancellationToken cancellationToken)
    {
        // Disposing the registration waits for a callback that is running: after it, nobody else knows of this hold.
        bool granted;
        await using (cancellationToken.UnsafeRegister(static (state, _) => ((RangeHold)state!).Cancel(), hold))
            granted = await hold.WaitAsync();
        if (granted)
            return hold;
        lock (_gate)
            ReturnSpare(hold);
        throw new OperationCanceledException(cancellationToken);
    }

    internal void Cancel(RangeHold hold)
    {
        RangeHold? granted;
        lock (_gate)
        {
            if (hold.Conflicts == 0)
                return;
            granted = Remove(hold);
        }

        hold.Complete(granted: false);
        Grant(granted);
    }

    private static void Grant(RangeHold? granted)
    {
        while (granted is not null)
        {
            var next = granted.NextGranted;
            granted.NextGranted = null;
            granted.Complete(granted: true);
            granted = next;
        }
    }

    /// <summary>Unlinks a hold; returns the chain of those that now wait for nothing.</summary>
    private RangeHold? Remove(RangeHold hold)
    {
        RangeHold? firstGranted = null;
        RangeHold? lastGranted = null;
        for (var later = hold.Next; later is not null; later = later.Next)
        {
            if (!later.ConflictsWith(hold) || --later.Conflicts != 0)
                continue;
            if (lastGranted is null)
                firstGranted = later;
            else
                lastGranted.NextGranted = later;
            lastGranted = later;
        }

        if (hold.Previous is null)
            _first = hold.Next;
        else
            hold.Previous.Next = hold.Next;
        if (hold.Next is null)
            _last = hold.Previous;
        else
            hold.Next.Previous = hold.Previous;
        hold.Previous = null;
        hold.Next = null;
        return firstGranted;
    }

    private RangeHold TakeSpare()
    {
        if (_spare is not { } hold)
            return new RangeHold(this);
        _spare = hold.Next;
        _spareCount--;
        hold.Next = null;
        return hold;
    }

    private void ReturnSpare(RangeHold hold)
    {
        if (_spareCount == MaximumSpare)
            return;
        hold.Reset();
        hold.Next = _spare;
        _spare = hold;
        _spareCount++;
    }
}
