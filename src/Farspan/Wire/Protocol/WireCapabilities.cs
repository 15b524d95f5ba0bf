namespace Farspan.Wire.Protocol;

/// <summary>What an export offers. Bits that a client does not know mean nothing to it.</summary>
[Flags]
internal enum WireCapabilities : uint
{
    None = 0,
    ReadOnly = 1,
    Trim = 2,
    Zero = 4,
    FastZero = 8,
    Extents = 16,
    Leasing = 32,
    ConcurrentWriters = 64,
    LeaseHistory = 128,
}
