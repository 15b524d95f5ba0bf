using System.Runtime.InteropServices;

namespace Farspan.Linux.Fuse.Protocol;

/// <summary><c>struct fuse_setattr_in</c> of linux/fuse.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FuseSetattrIn
{
    public uint valid;
    public uint padding;
    public ulong fh;
    public ulong size;
    public ulong lock_owner;
    public ulong atime;
    public ulong mtime;
    public ulong ctime;
    public uint atimensec;
    public uint mtimensec;
    public uint ctimensec;
    public uint mode;
    public uint unused4;
    public uint uid;
    public uint gid;
    public uint unused5;
}
