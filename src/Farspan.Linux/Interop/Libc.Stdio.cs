using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>Calls of stdio.h.</summary>
internal static partial class Libc
{
    public const uint RENAME_NOREPLACE = 1;

    [LibraryImport("libc", EntryPoint = "renameat2", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Rename(int oldDirectory, string oldPath, int newDirectory, string newPath, uint flags);
}
