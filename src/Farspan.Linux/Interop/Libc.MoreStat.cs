using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>More of sys/stat.h and linux/stat.h.</summary>
internal static partial class Libc
{
    public const int S_IFSOCK = 0xC000;
    public const int AT_SYMLINK_NOFOLLOW = 0x100;

    /// <summary>Linux 6.8 and newer number mounts so that no number comes back; those in mountinfo do, at once.</summary>
    public const uint STATX_MNT_ID_UNIQUE = 0x4000;

    /// <summary>Answer from what the kernel knows: a file system whose server stands still is not waited for.</summary>
    public const int AT_STATX_DONT_SYNC = 0x4000;

    [LibraryImport("libc", EntryPoint = "mknod", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int MakeNode(string path, uint mode, ulong device);
}
