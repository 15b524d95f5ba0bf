using Farspan.Linux.Interop;

namespace Farspan.Linux.Fuse;

/// <summary>Where replies go. Calls may come from any thread at once; a reply is sent in one piece.</summary>
internal unsafe interface IFuseChannel
{
    /// <summary>Sends one reply. What comes back is for the log: a request whose reply fails is already over for the kernel.</summary>
    Errno Send(byte* start, int length);

    /// <summary>Sends one reply made of several pieces.</summary>
    Errno SendVector(IoVector* vectors, int count);
}
