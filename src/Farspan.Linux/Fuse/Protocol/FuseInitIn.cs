using System.Runtime.InteropServices;

namespace Farspan.Linux.Fuse.Protocol;

/// <summary><c>struct fuse_init_in</c> of linux/fuse.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct FuseInitIn
{
    public uint major;
    public uint minor;
    public uint max_readahead;
    public uint flags;
    public uint flags2;
    public fixed uint unused[11];
}
