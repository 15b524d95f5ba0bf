namespace Farspan.Nbd.Server;

/// <summary>
/// Looks for input a short while before a receive that would wait. A client that answers each reply with its next request then finds the
/// thread awake, which spares half of the wake-ups of a round trip (docs/decisions/0030). One connection's receiving thread only.
/// </summary>
internal sealed class InputSpin(ByteChannel channel, int processors)
{
    /// <summary>Looks, of a third of a microsecond or so each: about what one wake-up costs.</summary>
    public const int MostLooks = 100;

    /// <summary>In vain so often in a row, it is left alone but for a try now and then.</summary>
    public const int MostMisses = 3;

    public const int ReceivesBetweenTries = 64;

    /// <summary>Threads that look at one time, of all servers: never more than half of the processors, which others need too.</summary>
    private static int _looking;

    private int _misses;
    private int _pause;

    /// <summary>Returns when there is input, or when it is better to wait for it.</summary>
    public void Run()
    {
        if (_misses >= MostMisses && --_pause > 0)
            return;
        if (Interlocked.Increment(ref _looking) * 2 <= processors)
            Look();
        Interlocked.Decrement(ref _looking);
    }

    private void Look()
    {
        for (int looks = 0; looks < MostLooks; looks++)
        {
            if (channel.HasInput())
            {
                _misses = 0;
                return;
            }
        }

        _misses++;
        _pause = ReceivesBetweenTries;
    }
}
