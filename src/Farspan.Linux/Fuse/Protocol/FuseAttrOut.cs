using System.Runtime.InteropServices;

namespace Farspan.Linux.Fuse.Protocol;

/// <summary><c>struct fuse_attr_out</c> of linux/fuse.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FuseAttrOut
{
    public ulong attr_valid;
    public uint attr_valid_nsec;
    public uint dummy;
    public FuseAttr attr;
}
