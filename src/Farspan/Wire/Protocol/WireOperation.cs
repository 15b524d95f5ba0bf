namespace Farspan.Wire.Protocol;

/// <summary>What a request asks for. A number that a server does not know is answered with NOT_SUPPORTED, and the connection goes on.</summary>
internal enum WireOperation : ushort
{
    None = 0,
    Read = 1,
    Write = 2,
    Flush = 3,
    Trim = 4,
    Zero = 5,
    Extents = 6,
    LeaseAcquire = 7,
    LeaseRenew = 8,
    LeaseRelease = 9,
    Ping = 10,

    /// <summary>The last request of a connection; it has no reply.</summary>
    Goodbye = 11,

    /// <summary>Reserved: digests of a range's chunks.</summary>
    Digest = 16,

    /// <summary>Reserved: the chunks that changed since an epoch.</summary>
    DirtyMap = 17,

    /// <summary>Reserved: handing a region over to another host.</summary>
    HandOver = 18,
}
