using System.Runtime.InteropServices;

namespace Farspan.Linux.Fuse.Protocol;

/// <summary><c>struct fuse_kstatfs</c> of linux/fuse.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct FuseKstatfs
{
    public ulong blocks;
    public ulong bfree;
    public ulong bavail;
    public ulong files;
    public ulong ffree;
    public uint bsize;
    public uint namelen;
    public uint frsize;
    public uint padding;
    public fixed uint spare[6];
}
