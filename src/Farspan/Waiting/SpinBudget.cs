namespace Farspan.Waiting;

/// <summary>
/// Decides when a serving thread looks for its next input for a short while instead of waiting for it in the kernel: a peer that answers each
/// reply with its next request then finds the thread awake, which spares half of the wake-ups of a round trip (docs/decisions/0030).
/// Each thread has one of its own; they share only the count of those that look.
/// </summary>
/// <param name="processors">Processors of the machine.</param>
public sealed class SpinBudget(int processors)
{
    /// <summary>Looks in one go, of a third of a microsecond or so each: about what one wake-up costs.</summary>
    public const int MostLooks = 100;

    /// <summary>In vain so often in a row, it is left alone but for a try now and then.</summary>
    public const int MostMisses = 3;

    /// <summary>Waits between two tries of a thread whose looks were in vain.</summary>
    public const int WaitsBetweenTries = 64;

    /// <summary>Threads of the process that look at one time: never more than half of the processors, which others need too.</summary>
    private static int _looking;

    private int _misses;
    private int _pause;

    /// <summary>Whether it is worth looking now; if so, <see cref="End"/> has to follow.</summary>
    public bool TryBegin()
    {
        if (_misses >= MostMisses && --_pause > 0)
            return false;
        if (Interlocked.Increment(ref _looking) * 2 <= processors)
            return true;
        Interlocked.Decrement(ref _looking);
        return false;
    }

    /// <summary>Ends looking.</summary>
    /// <param name="hasFound">Whether there was input.</param>
    public void End(bool hasFound)
    {
        Interlocked.Decrement(ref _looking);
        if (hasFound)
        {
            _misses = 0;
            return;
        }

        _misses++;
        _pause = WaitsBetweenTries;
    }
}
