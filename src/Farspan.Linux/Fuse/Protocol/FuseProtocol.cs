namespace Farspan.Linux.Fuse.Protocol;

/// <summary>Numbers of linux/fuse.h that stand in no enum here.</summary>
internal static class FuseProtocol
{
    public const uint Major = 7;

    /// <summary>The newest version that the layouts in this folder are proven against.</summary>
    public const uint Minor = 38;

    /// <summary>The oldest version that is served: Linux 5.4.</summary>
    public const uint OldestMinor = 31;

    public const ulong RootId = 1;

    /// <summary>Makes an opening of the device one more of the connection whose descriptor is given.</summary>
    public const ulong FUSE_DEV_IOC_CLONE = 0x8004E500;

    /// <summary>In the place of a reply's error, with no request's number: the kernel is to drop what it keeps of a file.</summary>
    public const int FUSE_NOTIFY_INVAL_INODE = 2;

    public const uint FOPEN_KEEP_CACHE = 1 << 1;
    public const uint FOPEN_CACHE_DIR = 1 << 3;
    public const uint FOPEN_PARALLEL_DIRECT_WRITES = 1 << 6;

    public const uint FATTR_MODE = 1 << 0;
    public const uint FATTR_UID = 1 << 1;
    public const uint FATTR_GID = 1 << 2;
    public const uint FATTR_SIZE = 1 << 3;
    public const uint FATTR_ATIME = 1 << 4;
    public const uint FATTR_MTIME = 1 << 5;
    public const uint FATTR_FH = 1 << 6;
    public const uint FATTR_ATIME_NOW = 1 << 7;
    public const uint FATTR_MTIME_NOW = 1 << 8;

    public const uint FUSE_WRITE_CACHE = 1 << 0;

    public const uint FALLOC_FL_KEEP_SIZE = 1;
    public const uint FALLOC_FL_PUNCH_HOLE = 2;
    public const uint FALLOC_FL_ZERO_RANGE = 0x10;

    public const uint SEEK_DATA = 3;
    public const uint SEEK_HOLE = 4;

    public const uint S_IFREG = 0x8000;
    public const uint S_IFDIR = 0x4000;
    public const uint DT_DIR = 4;
    public const uint DT_REG = 8;
}
