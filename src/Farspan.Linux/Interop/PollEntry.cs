using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary><c>struct pollfd</c> of poll.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PollEntry
{
    public int Descriptor;
    public short Wanted;
    public short Found;
}
