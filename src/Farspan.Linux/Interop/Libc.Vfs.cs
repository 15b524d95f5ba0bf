using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>Calls of sys/vfs.h.</summary>
internal static partial class Libc
{
    public const long TMPFS_MAGIC = 0x01021994;
    public const long RAMFS_MAGIC = 0x858458F6;

    /// <summary>The first field of <c>struct statfs</c> is the file system's magic number; 32 words hold all of it.</summary>
    [LibraryImport("libc", EntryPoint = "fstatfs", SetLastError = true)]
    public static unsafe partial int StatFileSystem(SafeDescriptor file, long* words);
}
