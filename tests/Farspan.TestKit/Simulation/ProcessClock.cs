namespace Farspan.TestKit.Simulation;

/// <summary>A clock whose timers no longer fire once their <see cref="SimulatedProcess"/> is dead.</summary>
internal sealed class ProcessClock(SimulatedProcess process, TimeProvider inner) : TimeProvider
{
    public override long TimestampFrequency => inner.TimestampFrequency;

    public override long GetTimestamp() => inner.GetTimestamp();

    public override DateTimeOffset GetUtcNow() => inner.GetUtcNow();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        => inner.CreateTimer(
            fired =>
            {
                if (!process.IsDead)
                    callback(fired);
            },
            state,
            dueTime,
            period);
}
