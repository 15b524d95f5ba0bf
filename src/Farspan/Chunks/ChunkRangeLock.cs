using System.Runtime.CompilerServices;

namespace Farspan.Chunks;

/// <summary>
/// Locks on ranges of chunks, shared or exclusive, first come first served. Ranges that do not meet never wait for each other, and a holder
/// that waits for nothing else cannot deadlock. What waits is exact (no stripes), costs one walk over the holds in flight at most, and
/// allocates nothing where nothing is in the way.
/// </summary>
/// <remarks>
/// A hold counts the earlier holds that it conflicts with, and each of those knows it as a dependent; at zero it is granted. Looking back from
/// the latest, it stops at an exclusive hold that covers it: whatever conflicts with it before that one conflicts with that one, too. So a long
/// queue for one chunk costs each waiter one step.
/// </remarks>
internal sealed class ChunkRangeLock
{
    private const int MaximumSpare = 256;

    private readonly Lock _gate = new();
    private RangeHold? _last;
    private RangeHold? _spare;
    private int _spareCount;

    /// <summary>Waits until the chunks from <paramref name="firstChunk"/> to <paramref name="lastChunk"/>, both included, are held.</summary>
    /// <returns>The hold, to be given to <see cref="Release"/> exactly once.</returns>
    /// <exception cref="OperationCanceledException">Cancelled while it waited; nothing is held.</exception>
    public ValueTask<RangeHold> AcquireAsync(long firstChunk, long lastChunk, bool exclusive, CancellationToken cancellationToken)
    {
        RangeHold hold;
        lock (_gate)
        {
            hold = TakeSpare();
            hold.FirstChunk = firstChunk;
            hold.LastChunk = lastChunk;
            hold.IsExclusive = exclusive;
            Depend(hold, _last);
            hold.Previous = _last;
            if (_last is not null)
                _last.Next = hold;
            _last = hold;
            if (hold.Conflicts == 0)
                return new ValueTask<RangeHold>(hold);
        }

        return WaitAsync(hold, cancellationToken);
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

    internal void Cancel(RangeHold hold)
    {
        RangeHold? granted;
        lock (_gate)
        {
            if (hold.Conflicts == 0)
                return;
            for (var earlier = hold.Previous; earlier is not null; earlier = earlier.Previous)
            {
                if (earlier.ConflictsWith(hold))
                    earlier.Dependents.Remove(hold);
                if (earlier == hold.StoppedAt)
                    break;
            }

            granted = Remove(hold);
        }

        hold.Complete(granted: false);
        Grant(granted);
    }

    /// <summary>Makes a hold depend on what conflicts with it, from <paramref name="latest"/> backwards.</summary>
    private static void Depend(RangeHold hold, RangeHold? latest)
    {
        for (var earlier = latest; earlier is not null; earlier = earlier.Previous)
        {
            if (!earlier.ConflictsWith(hold))
                continue;
            earlier.Dependents.Add(hold);
            hold.Conflicts++;
            if (!earlier.IsExclusive || !earlier.Covers(hold))
                continue;
            hold.StoppedAt = earlier;
            return;
        }
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

    /// <summary>Takes a hold out; returns the chain of those that now wait for nothing.</summary>
    private RangeHold? Remove(RangeHold hold)
    {
        RangeHold? firstGranted = null;
        RangeHold? lastGranted = null;
        bool wasGranted = hold.Conflicts == 0;
        foreach (var dependent in hold.Dependents)
        {
            dependent.Conflicts--;
            if (dependent.StoppedAt == hold)
            {
                // Behind a hold that was granted nothing is left that conflicts; behind one that gave up the dependent has yet to look.
                dependent.StoppedAt = null;
                if (!wasGranted)
                    Depend(dependent, hold.Previous);
            }

            if (dependent.Conflicts != 0)
                continue;
            if (lastGranted is null)
                firstGranted = dependent;
            else
                lastGranted.NextGranted = dependent;
            lastGranted = dependent;
        }

        hold.Dependents.Clear();
        if (hold.Previous is not null)
            hold.Previous.Next = hold.Next;
        if (hold.Next is null)
            _last = hold.Previous;
        else
            hold.Next.Previous = hold.Previous;
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
