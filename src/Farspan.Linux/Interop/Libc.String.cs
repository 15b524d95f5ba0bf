using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>Calls of string.h.</summary>
internal static unsafe partial class Libc
{
    /// <summary>
    /// Copies as native code: a page that is not here makes the thread wait where the collector does not wait for it, as it would in a copy of .NET.
    /// </summary>
    [LibraryImport("libc", EntryPoint = "memmove")]
    public static partial void* CopyMemory(void* destination, void* source, nuint length);
}
