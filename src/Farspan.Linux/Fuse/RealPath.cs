using System.Runtime.InteropServices;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Fuse;

/// <summary>Paths without symbolic links.</summary>
internal static unsafe class RealPath
{
    /// <summary>The path without symbolic links; null where something on the way, or the end, is missing.</summary>
    public static string? TryResolve(string path)
    {
        byte* resolved = Libc.RealPath(path, null);
        if (resolved is null)
            return null;
        string text = Marshal.PtrToStringUTF8((nint)resolved)!;
        NativeMemory.Free(resolved);
        return text;
    }
}
