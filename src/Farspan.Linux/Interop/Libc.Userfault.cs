using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>Requests of linux/userfaultfd.h, by sys/ioctl.h.</summary>
internal static unsafe partial class Libc
{
    public const uint UFFDIO_REGISTER = 0xC020AA00;
    public const uint UFFDIO_UNREGISTER = 0x8010AA01;
    public const uint UFFDIO_WAKE = 0x8010AA02;
    public const uint UFFDIO_COPY = 0xC028AA03;
    public const uint UFFDIO_ZEROPAGE = 0xC020AA04;
    public const uint UFFDIO_MOVE = 0xC028AA05;
    public const uint UFFDIO_WRITEPROTECT = 0xC018AA06;
    public const uint UFFDIO_CONTINUE = 0xC020AA07;
    public const uint UFFDIO_POISON = 0xC020AA08;

    public const uint UFFDIO_REGISTER_MODE_MISSING = 1;
    public const uint UFFDIO_REGISTER_MODE_WP = 2;
    public const uint UFFDIO_REGISTER_MODE_MINOR = 4;

    public const uint UFFDIO_COPY_MODE_DONTWAKE = 1;
    public const uint UFFDIO_COPY_MODE_WP = 2;
    public const uint UFFDIO_ZEROPAGE_MODE_DONTWAKE = 1;
    public const uint UFFDIO_WRITEPROTECT_MODE_WP = 1;
    public const uint UFFDIO_WRITEPROTECT_MODE_DONTWAKE = 2;
    public const uint UFFDIO_CONTINUE_MODE_DONTWAKE = 1;
    public const uint UFFDIO_CONTINUE_MODE_WP = 2;
    public const uint UFFDIO_POISON_MODE_DONTWAKE = 1;
    public const uint UFFDIO_MOVE_MODE_DONTWAKE = 1;
    public const uint UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES = 2;

    public const uint UFFD_PAGEFAULT_FLAG_WRITE = 1;
    public const uint UFFD_PAGEFAULT_FLAG_WP = 2;
    public const uint UFFD_PAGEFAULT_FLAG_MINOR = 4;

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static partial int ControlUserfault(SafeDescriptor descriptor, nuint request, void* argument);

    /// <summary>A request without an argument in memory.</summary>
    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static partial int ControlUserfault(SafeDescriptor descriptor, nuint request, nint argument);
}
