using System.Runtime.InteropServices;

namespace Farspan.Linux.Fuse.Protocol;

/// <summary><c>struct fuse_notify_inval_inode_out</c> of linux/fuse.h. A length of 0 reaches to the end.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FuseNotifyInvalInodeOut
{
    public ulong ino;
    public long off;
    public long len;
}
