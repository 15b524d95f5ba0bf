using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary><c>struct uffdio_copy</c>, and <c>struct uffdio_move</c>, which has the same fields.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UserfaultTransfer
{
    public ulong Destination;
    public ulong Source;
    public ulong Length;
    public ulong Mode;

    /// <summary>Bytes that were done, or the error as a negative number.</summary>
    public long Done;
}
