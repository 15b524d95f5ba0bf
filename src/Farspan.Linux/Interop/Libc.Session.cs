using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>Calls of unistd.h and fcntl.h that a process needs to leave its terminal.</summary>
internal static partial class Libc
{
    /// <summary>fcntl: read the descriptor flags.</summary>
    public const int F_GETFD = 1;

    /// <summary>fcntl: set the descriptor flags.</summary>
    public const int F_SETFD = 2;

    /// <summary>fcntl: read the status flags.</summary>
    public const int F_GETFL = 3;

    /// <summary>fcntl: set the status flags.</summary>
    public const int F_SETFL = 4;

    /// <summary>Descriptor flag: closed by execve.</summary>
    public const int FD_CLOEXEC = 1;

    /// <summary>close_range: in a table of descriptors of the calling thread's own.</summary>
    public const uint CLOSE_RANGE_UNSHARE = 2;

    private const long CloseRangeCall = 436;

    /// <summary>Closes every descriptor of a range. The C library has a name for it since 2.34 only.</summary>
    public static int CloseRange(uint first, uint last, uint flags) => (int)CloseRange(CloseRangeCall, (nint)first, (nint)last, (nint)flags);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long CloseRange(long number, nint first, nint last, nint flags);

    [LibraryImport("libc", EntryPoint = "setsid", SetLastError = true)]
    public static partial int SetSid();

    /// <summary>Makes <paramref name="number"/> mean what <paramref name="descriptor"/> means; what it meant before is closed in the same step.</summary>
    [LibraryImport("libc", EntryPoint = "dup3", SetLastError = true)]
    public static partial int Replace(SafeDescriptor descriptor, int number, int flags);

    [LibraryImport("libc", EntryPoint = "dup2", SetLastError = true)]
    public static partial int Dup2(SafeHandle from, int to);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    public static partial int Fcntl(int descriptor, int command, int argument);
}
