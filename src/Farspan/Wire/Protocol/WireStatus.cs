using Farspan.Backends;

namespace Farspan.Wire.Protocol;

/// <summary>How a request went. The numbers are the wire's; <see cref="WireStatusMap"/> ties them to <see cref="BackendError"/>.</summary>
internal enum WireStatus : ushort
{
    Done = 0,
    InputOutput = 1,
    NoSpace = 2,
    ReadOnly = 3,
    AccessDenied = 4,
    NoMemory = 5,
    NotSupported = 6,
    Invalid = 7,
    TimedOut = 8,
    Disconnected = 9,
    ShuttingDown = 10,
    Corrupt = 11,
    Protocol = 12,
    NotFound = 13,
    Leased = 14,
    Fenced = 15,

    /// <summary>The seeder refuses: nothing went wrong, but what the leecher counts on is over. To reads, digests and lists only.</summary>
    Refused = 16,
}
