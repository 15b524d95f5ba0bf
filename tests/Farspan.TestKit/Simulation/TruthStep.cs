namespace Farspan.TestKit.Simulation;

/// <summary>One change that a client made or tried.</summary>
/// <param name="Number">Which change of all.</param>
/// <param name="Offset">First byte.</param>
/// <param name="Length">Number of bytes.</param>
/// <param name="Bytes">What was written; null for a trim, after which each byte is what it was or zero.</param>
internal sealed record TruthStep(int Number, int Offset, int Length, byte[]? Bytes)
{
    /// <summary>Whether it has completed without a failure.</summary>
    public bool IsAcknowledged { get; set; }

    /// <summary>Whether it stands for what was there after a crash.</summary>
    public bool IsFound { get; init; }
}
