using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary><c>struct uffdio_api</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UserfaultApi
{
    public ulong Api;
    public ulong Features;
    public ulong Ioctls;
}
