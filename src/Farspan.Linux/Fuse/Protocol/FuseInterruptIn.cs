using System.Runtime.InteropServices;

namespace Farspan.Linux.Fuse.Protocol;

/// <summary><c>struct fuse_interrupt_in</c> of linux/fuse.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FuseInterruptIn
{
    public ulong unique;
}
