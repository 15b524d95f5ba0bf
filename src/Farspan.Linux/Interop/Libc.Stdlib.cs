using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>Calls of stdlib.h.</summary>
internal static partial class Libc
{
    /// <summary>With <paramref name="resolved"/> null the result is to be given to <c>free</c>.</summary>
    [LibraryImport("libc", EntryPoint = "realpath", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static unsafe partial byte* RealPath(string path, byte* resolved);
}
