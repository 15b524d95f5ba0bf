namespace Farspan.TestKit.Time;

/// <summary>A clock that stands still until it is moved, and then fires the timers that are due, in order, on the mover's thread.</summary>
public sealed class VirtualTimeProvider : TimeProvider
{
    private static readonly DateTimeOffset Epoch = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly Lock _gate = new();
    private readonly PriorityQueue<(VirtualTimer Timer, int Version), (long Due, long Order)> _timers = new();
    private long _now;
    private long _order;

    /// <summary>The time since the clock was made.</summary>
    public TimeSpan Now => new(Volatile.Read(ref _now));

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => Volatile.Read(ref _now);

    public override DateTimeOffset GetUtcNow() => Epoch + Now;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new VirtualTimer(this, () => callback(state));
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Moves to the next timer and fires it; false where none is set.</summary>
    public bool AdvanceToNextTimer() => TryFire(long.MaxValue);

    /// <summary>Moves by <paramref name="time"/> and fires all that is due on the way.</summary>
    public void Advance(TimeSpan time)
    {
        long end = Volatile.Read(ref _now) + time.Ticks;
        while (TryFire(end))
        {
        }

        lock (_gate)
            _now = Math.Max(_now, end);
    }

    internal void Schedule(VirtualTimer timer, int version, TimeSpan dueTime)
    {
        lock (_gate)
            _timers.Enqueue((timer, version), (_now + dueTime.Ticks, _order++));
    }

    private bool TryFire(long until)
    {
        while (true)
        {
            VirtualTimer timer;
            lock (_gate)
            {
                if (!_timers.TryPeek(out var next, out var at) || at.Due > until)
                    return false;
                _timers.Dequeue();
                if (!next.Timer.IsSet(next.Version))
                    continue;
                _now = Math.Max(_now, at.Due);
                timer = next.Timer;
            }

            timer.Fire();
            return true;
        }
    }
}
