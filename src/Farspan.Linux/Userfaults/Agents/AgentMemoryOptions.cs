namespace Farspan.Linux.Userfaults.Agents;

/// <summary>What of an agent's backend is mapped, and how.</summary>
public sealed record AgentMemoryOptions
{
    /// <summary>The first byte of the backend; a multiple of the page size. Default: 0.</summary>
    public long Offset { get; init; }

    /// <summary>Bytes of the backend. Default: null, to its end.</summary>
    public long? Length { get; init; }

    /// <summary>Whether it is for reading only. Default: no, unless the agent's backend is.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Time for connecting and mapping; more than zero. Default: 30 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <exception cref="ArgumentException">A value is out of its bounds; the message names it.</exception>
    internal void Validate()
    {
        ArgumentOutOfRangeException.ThrowIfNegative(Offset);
        if (Length is { } length)
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length, nameof(Length));
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(ConnectTimeout, TimeSpan.Zero);
    }
}
