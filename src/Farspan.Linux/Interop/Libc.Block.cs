using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>Requests of linux/fs.h for block devices, by sys/ioctl.h.</summary>
internal static partial class Libc
{
    public const nuint BLKROGET = 0x125E;
    public const nuint BLKSSZGET = 0x1268;
    public const nuint BLKGETSIZE64 = 0x80081272;

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    public static unsafe partial int ControlBlock(SafeDescriptor device, nuint request, void* argument);
}
