using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary><c>struct sigaction</c> of glibc and musl on 64-bit machines.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct SignalActionArgument
{
    public nint Handler;
    public fixed ulong Mask[16];
    public int Flags;
    public nint Restorer;
}
