using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>Calls of sys/file.h.</summary>
internal static partial class Libc
{
    public const int LOCK_SH = 1;
    public const int LOCK_EX = 2;
    public const int LOCK_NB = 4;

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    public static partial int Lock(SafeDescriptor file, int operation);
}
