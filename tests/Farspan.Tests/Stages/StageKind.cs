namespace Farspan.Tests.Stages;

/// <summary>One storey of a random stack of stages; each takes any offset and length above and below.</summary>
public enum StageKind
{
    Yielding,
    Tracking,
    LockGate,
    IdleFaults,
    RetriedFaults,
    Link,
    ZeroDetection,
    GuardedZeroDetection,
    Checksum,
    ChecksumWithSide,
    GuardedArbitraryAccess,
    AlignmentGuard,
}
