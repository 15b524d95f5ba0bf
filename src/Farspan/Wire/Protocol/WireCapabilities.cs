namespace Farspan.Wire.Protocol;

/// <summary>What an export offers, and what the sides agree on. Bits that a side does not know mean nothing to it.</summary>
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

    /// <summary>In the client's hello: it asks for checksums of payloads; in the server's: every payload of the connection has one.</summary>
    PayloadChecksums = 256,

    /// <summary>The export is a region that is being moved, and answers nothing else; the preferred block is its chunk.</summary>
    Moving = 512,

    /// <summary>A store stands behind the region that is being moved.</summary>
    Backed = 1024,
}
