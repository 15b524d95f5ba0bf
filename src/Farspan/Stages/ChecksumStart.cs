namespace Farspan.Stages;

/// <summary>What the backend below a <see cref="ChecksumStage"/> holds when its checksums begin.</summary>
public enum ChecksumStart
{
    /// <summary>Zeroes: it was never written. Anything else is reported as corrupt.</summary>
    Zeroes,

    /// <summary>Anything: all of it is read once and believed.</summary>
    Scan,
}
