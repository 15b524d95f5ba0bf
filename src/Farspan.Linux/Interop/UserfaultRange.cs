using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary><c>struct uffdio_range</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UserfaultRange
{
    public ulong Start;
    public ulong Length;
}
