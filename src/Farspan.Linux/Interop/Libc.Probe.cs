using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>Calls by which features of the kernel are tried: sys/syscall.h, sys/ioctl.h.</summary>
internal static partial class Libc
{
    /// <summary>linux/loop.h: the number of a free loop device.</summary>
    public const ulong LOOP_CTL_GET_FREE = 0x4C82;

    /// <summary>linux/userfaultfd.h: a new descriptor from /dev/userfaultfd, <c>_IO(0xAA, 0)</c>.</summary>
    public const ulong USERFAULTFD_IOC_NEW = 0xAA00;

    /// <summary>linux/userfaultfd.h: agree on the interface, <c>_IOWR(0xAA, 0x3F, 24 bytes)</c>.</summary>
    public const ulong UFFDIO_API = 0xC018AA3F;

    /// <summary>The version of the userfaultfd interface.</summary>
    public const ulong UFFD_API = 0xAA;

    /// <summary>userfaultfd: only faults from user mode, which needs no privilege.</summary>
    public const int UFFD_USER_MODE_ONLY = 1;

    /// <summary>Size of <c>struct io_uring_params</c>.</summary>
    public const int IoUringParametersSize = 120;

    /// <summary>The number of <c>userfaultfd</c> on this processor.</summary>
    public static long UserfaultSystemCall => RuntimeInformation.ProcessArchitecture == Architecture.X64 ? 323 : 282;

    /// <summary>The number of <c>io_uring_setup</c>.</summary>
    public const long IoUringSetupSystemCall = 425;

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    public static partial long SystemCall(long number, nint first, nint second);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static partial int Ioctl(SafeHandle descriptor, ulong request, nint argument);
}
