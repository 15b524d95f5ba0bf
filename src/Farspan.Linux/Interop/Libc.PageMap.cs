namespace Farspan.Linux.Interop;

/// <summary>The request of linux/fs.h that lists pages of a process by what happened to them; made of /proc/PID/pagemap.</summary>
internal static partial class Libc
{
    public const uint PAGEMAP_SCAN = 0xC0606610;

    /// <summary>Write-protect what matched, in the same step.</summary>
    public const uint PM_SCAN_WP_MATCHING = 1;

    /// <summary>Fail where a range is not registered for asynchronous write-protection.</summary>
    public const uint PM_SCAN_CHECK_WPASYNC = 2;

    public const uint PAGE_IS_WPALLOWED = 1;
    public const uint PAGE_IS_WRITTEN = 2;
    public const uint PAGE_IS_FILE = 4;
    public const uint PAGE_IS_PRESENT = 8;
    public const uint PAGE_IS_SWAPPED = 16;
    public const uint PAGE_IS_PFNZERO = 32;
    public const uint PAGE_IS_HUGE = 64;
}
