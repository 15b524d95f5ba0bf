using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>Calls of sys/uio.h.</summary>
internal static partial class Libc
{
    /// <summary>Fail with EAGAIN instead of waiting for the disk.</summary>
    public const int RWF_NOWAIT = 8;

    [LibraryImport("libc", EntryPoint = "writev", SetLastError = true)]
    public static unsafe partial nint WriteVector(int descriptor, IoVector* vectors, int count);

    [LibraryImport("libc", EntryPoint = "preadv2", SetLastError = true)]
    public static unsafe partial nint ReadVectorAt(SafeDescriptor file, IoVector* vectors, int count, long offset, int flags);

    [LibraryImport("libc", EntryPoint = "pwritev2", SetLastError = true)]
    public static unsafe partial nint WriteVectorAt(SafeDescriptor file, IoVector* vectors, int count, long offset, int flags);
}
