using Farspan.Backends;

namespace Farspan.Stages;

/// <summary>Which calls of a <see cref="FaultInjectionStage"/> go wrong, and how.</summary>
public sealed record FaultRule
{
    /// <summary>What goes wrong. Default: <see cref="FaultKind.Error"/>.</summary>
    public FaultKind Kind { get; init; }

    /// <summary>The operations that the rule is about. Default: all.</summary>
    public BackendOperation Operations { get; init; } = BackendOperation.All;

    /// <summary>Given operation, offset and length: whether the rule is about this call. Must be thread-safe. Default: every call.</summary>
    public Func<BackendOperation, long, long, bool>? Where { get; init; }

    /// <summary>The number of calls, of those that the rule is about, that pass before the first goes wrong. At least 0. Default: 0.</summary>
    public int Skip { get; init; }

    /// <summary>The number of calls that go wrong. At least 0. Default: null, all.</summary>
    public int? Count { get; init; }

    /// <summary>The probability that a call goes wrong, from 0 to 1. Default: 1.</summary>
    public double Probability { get; init; } = 1;

    /// <summary>Why the call fails. Default: <see cref="BackendError.InputOutput"/>.</summary>
    public BackendError Error { get; init; } = BackendError.InputOutput;

    /// <summary>Whether the failure says that it is transient. Default: null, as its <see cref="Error"/> usually is.</summary>
    public bool? IsTransient { get; init; }

    /// <summary>Throws when a value is out of its bounds.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One is; the message names it.</exception>
    internal void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfNegative(Skip);
        ArgumentOutOfRangeException.ThrowIfNegative(Count ?? 0);
        if (Probability is not (>= 0 and <= 1))
            throw new ArgumentOutOfRangeException(nameof(Probability), Probability, "A probability is a number from 0 to 1.");
    }
}
