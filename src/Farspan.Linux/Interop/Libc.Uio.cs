using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>Calls of sys/uio.h.</summary>
internal static partial class Libc
{
    [LibraryImport("libc", EntryPoint = "writev", SetLastError = true)]
    public static unsafe partial nint WriteVector(int descriptor, IoVector* vectors, int count);
}
