using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>
/// <c>struct uffdio_zeropage</c>, <c>uffdio_continue</c> and <c>uffdio_poison</c>; and, without the last field, <c>uffdio_writeprotect</c>.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UserfaultRangeAction
{
    public UserfaultRange Range;
    public ulong Mode;

    /// <summary>Bytes that were done, or the error as a negative number.</summary>
    public long Done;
}
