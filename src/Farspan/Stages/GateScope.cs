namespace Farspan.Stages;

/// <summary>What a <see cref="LockGateStage"/> holds back while it is locked.</summary>
public enum GateScope
{
    /// <summary>Writes, trims and zeroes wait; reads, flushes and extents pass.</summary>
    Changes,

    /// <summary>Everything waits.</summary>
    Everything,
}
