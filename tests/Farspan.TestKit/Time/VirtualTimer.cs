namespace Farspan.TestKit.Time;

/// <summary>A timer of a <see cref="VirtualTimeProvider"/>.</summary>
internal sealed class VirtualTimer(VirtualTimeProvider clock, Action fire) : ITimer
{
    private int _version;
    private TimeSpan _period;

    public bool Change(TimeSpan dueTime, TimeSpan period)
    {
        int version = Interlocked.Increment(ref _version);
        _period = period;
        if (dueTime >= TimeSpan.Zero)
            clock.Schedule(this, version, dueTime);
        return true;
    }

    public void Dispose() => Interlocked.Increment(ref _version);

    public ValueTask DisposeAsync()
    {
        Dispose();
        return default;
    }

    public bool IsSet(int version) => Volatile.Read(ref _version) == version;

    public void Fire()
    {
        if (_period > TimeSpan.Zero)
            Change(_period, _period);
        else
            Interlocked.Increment(ref _version);
        fire();
    }
}
