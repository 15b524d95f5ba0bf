namespace Farspan.Stages;

/// <summary>How a <see cref="RetryStage"/> goes on after a transient failure.</summary>
public sealed record RetryOptions
{
    /// <summary>The number of times that a call is made again. At least 1. Default: 1000; in practice <see cref="TotalTimeout"/> ends it.</summary>
    public int MaximumRetries { get; init; } = 1000;

    /// <summary>The delay before the second attempt; each further one is twice as long. More than zero. Default: 50 ms.</summary>
    public TimeSpan FirstDelay { get; init; } = TimeSpan.FromMilliseconds(50);

    /// <summary>The longest delay. At least <see cref="FirstDelay"/>, at most a day. Default: 5 s.</summary>
    public TimeSpan MaximumDelay { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Whether each delay is drawn at random, from a distribution around its value, so that many clients do not come back all at once.
    /// Default: true.</summary>
    public bool Jitter { get; init; } = true;

    /// <summary>Draws a number from 0 to 1 for the jitter. Must be thread-safe. Default: the process's shared source.</summary>
    public Func<double> Random { get; init; } = System.Random.Shared.NextDouble;

    /// <summary>The time that a call may take with all its attempts; then it fails with <see cref="Backends.BackendError.TimedOut"/>. From
    /// 10 ms to a day. Default: 60 s.</summary>
    public TimeSpan TotalTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Is told of every retry, before the delay. Must be quick and thread-safe, and not throw. Default: nobody.</summary>
    public Action<RetryReport>? OnRetry { get; init; }

    /// <summary>The clock. Default: the system's.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Throws when a value is out of its bounds.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One is; the message names it.</exception>
    internal void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumRetries, 1);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(FirstDelay, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(MaximumDelay, FirstDelay);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(MaximumDelay, TimeSpan.FromDays(1));
        ArgumentOutOfRangeException.ThrowIfLessThan(TotalTimeout, TimeSpan.FromMilliseconds(10));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(TotalTimeout, TimeSpan.FromDays(1));
        ArgumentNullException.ThrowIfNull(Random);
        ArgumentNullException.ThrowIfNull(Clock);
    }
}
