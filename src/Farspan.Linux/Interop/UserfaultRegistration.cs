using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary><c>struct uffdio_register</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UserfaultRegistration
{
    public UserfaultRange Range;
    public ulong Mode;
    public ulong Ioctls;
}
