namespace Farspan.Linux.Interop;

/// <summary>Flags of statx, from linux/stat.h.</summary>
internal static partial class Libc
{
    public const int AT_SYMLINK_NOFOLLOW = 0x100;

    /// <summary>Answer from what the kernel knows: a file system whose server stands still is not waited for.</summary>
    public const int AT_STATX_DONT_SYNC = 0x4000;
}
