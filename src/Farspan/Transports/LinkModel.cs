using Farspan.Waiting;

namespace Farspan.Transports;

/// <summary>
/// One simulated line, which any number of backends and streams may share: what is sent in a direction departs one after the other at the
/// line's rate, and arrives half a round trip later.
/// </summary>
/// <remarks>
/// Arrival times are computed from what was sent before, exactly and without waiting, so that no coarse timer adds up. Waiting for them is
/// separate; on the system's clock it ends about a millisecond late at most, on another clock as that clock's timers do. Thread-safe.
/// </remarks>
public sealed class LinkModel
{
    private readonly TimeProvider _clock;
    private readonly long _start;

    /// <summary>Creates an idle line.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its bounds.</exception>
    public LinkModel(LinkOptions options, TimeProvider? clock = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        Options = options;
        _clock = clock ?? TimeProvider.System;
        _start = _clock.GetTimestamp();
        Up = new LinkDirection(options.UpRate, options.RoundTripTime / 2, options.Jitter, options.Seed);
        Down = new LinkDirection(options.DownRate, options.RoundTripTime / 2, options.Jitter, options.Seed + 1);
    }

    /// <summary>What the line is like.</summary>
    public LinkOptions Options { get; }

    /// <summary>The time since the line was created.</summary>
    public TimeSpan Now => _clock.GetElapsedTime(_start);

    internal LinkDirection Up { get; }

    internal LinkDirection Down { get; }

    /// <summary>Sends bytes from here to the far side.</summary>
    /// <returns>When the last of them arrives, on the scale of <see cref="Now"/>.</returns>
    public TimeSpan SendUp(long byteCount) => Up.Send(Now, byteCount);

    /// <summary>Sends bytes from the far side to here.</summary>
    /// <returns>When the last of them arrives, on the scale of <see cref="Now"/>.</returns>
    public TimeSpan SendDown(long byteCount) => Down.Send(Now, byteCount);

    /// <summary>Returns at <paramref name="due"/>, on the scale of <see cref="Now"/>, or shortly after; never before.</summary>
    /// <exception cref="OperationCanceledException">Cancelled before.</exception>
    public ValueTask WaitUntilAsync(TimeSpan due, CancellationToken cancellationToken = default)
    {
        if (due <= Now)
            return cancellationToken.IsCancellationRequested ? ValueTask.FromCanceled(cancellationToken) : default;
        return ReferenceEquals(_clock, TimeProvider.System)
            ? new ValueTask(PreciseTimer.WaitAsync(_start, due).WaitAsync(cancellationToken))
            : WaitOnClockAsync(due, cancellationToken);
    }

    private async ValueTask WaitOnClockAsync(TimeSpan due, CancellationToken cancellationToken)
    {
        // Not Task.Delay, which cuts the time to whole milliseconds and so may return too early.
        for (var left = due - Now; left > TimeSpan.Zero; left = due - Now)
        {
            var elapsed = new Signal();
            await using var timer = _clock.CreateTimer(
                static state => ((Signal)state!).Set(), elapsed, left, Timeout.InfiniteTimeSpan);
            await elapsed.WaitAsync(cancellationToken);
        }
    }
}
