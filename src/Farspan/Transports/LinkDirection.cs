namespace Farspan.Transports;

/// <summary>One direction of a simulated line. Thread-safe.</summary>
internal sealed class LinkDirection(long? rate, TimeSpan delay, TimeSpan jitter, int seed)
{
    private readonly Lock _gate = new();
    private readonly Random _random = new(seed);
    private long _freeAt;
    private UInt128 _remainder;
    private long _lastArrival;

    /// <summary>Bytes that fill the line from end to end; null where the rate is unlimited.</summary>
    public long? Capacity => rate is { } bits ? (long)((UInt128)bits * (ulong)delay.Ticks / (8 * TimeSpan.TicksPerSecond)) : null;

    /// <summary>Bits a second; null where unlimited.</summary>
    public long? Rate => rate;

    /// <summary>Sends bytes at <paramref name="now"/>, after all that was sent before; returns when the last of them arrives.</summary>
    public TimeSpan Send(TimeSpan now, long byteCount)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(byteCount);
        lock (_gate)
        {
            if (now.Ticks > _freeAt)
            {
                _freeAt = now.Ticks;
                _remainder = 0;
            }

            if (rate is { } bits)
            {
                // In whole ticks of 100 ns, with the rest kept: at any rate, no bit is forgotten over any number of calls.
                var work = ((UInt128)byteCount * (8 * TimeSpan.TicksPerSecond)) + _remainder;
                _freeAt += (long)(work / (ulong)bits);
                _remainder = work % (ulong)bits;
            }

            long arrival = _freeAt + delay.Ticks;
            if (jitter > TimeSpan.Zero)
                arrival += (long)(_random.NextDouble() * jitter.Ticks);
            _lastArrival = Math.Max(_lastArrival, arrival);
            return new TimeSpan(_lastArrival);
        }
    }
}
