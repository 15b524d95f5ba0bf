using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary><c>struct cmsghdr</c>; the data follows.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ControlHeader
{
    public nuint Length;
    public int Level;
    public int Type;
}
