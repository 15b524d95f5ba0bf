using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>Calls of pwd.h.</summary>
internal static partial class Libc
{
    /// <summary>An entry of the user database, valid until the next call; its user id follows two pointers.</summary>
    [LibraryImport("libc", EntryPoint = "getpwnam", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static unsafe partial byte* FindUser(string name);
}
