using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>Calls of fcntl.h.</summary>
internal static partial class Libc
{
    public const int O_RDONLY = 0;
    public const int O_WRONLY = 1;
    public const int O_RDWR = 2;
    public const int O_ACCMODE = 3;
    public const int O_CREAT = 0x40;
    public const int O_EXCL = 0x80;
    public const int O_NONBLOCK = 0x800;
    public const int O_CLOEXEC = 0x80000;

    /// <summary>fcntl: read the seals, which only files of shared memory have.</summary>
    public const int F_GET_SEALS = 1034;

    public const int FALLOC_FL_KEEP_SIZE = 1;
    public const int FALLOC_FL_PUNCH_HOLE = 2;
    public const int FALLOC_FL_ZERO_RANGE = 0x10;

    public static readonly int O_DIRECT = OpenFlags(RuntimeInformation.ProcessArchitecture).Direct;

    public static readonly int O_DIRECTORY = OpenFlags(RuntimeInformation.ProcessArchitecture).Directory;

    /// <summary>The two flags that differ between processors (asm/fcntl.h).</summary>
    /// <exception cref="PlatformNotSupportedException">They are not known for the processor.</exception>
    internal static (int Direct, int Directory) OpenFlags(Architecture processor) => processor switch
    {
        Architecture.X64 or Architecture.X86 or Architecture.RiscV64 or Architecture.LoongArch64 or Architecture.S390x => (0x4000, 0x10000),
        Architecture.Arm64 or Architecture.Arm or Architecture.Armv6 => (0x10000, 0x4000),
        Architecture.Ppc64le => (0x20000, 0x4000),
        _ => throw new PlatformNotSupportedException($"Files cannot be opened on {processor}: its flags for open(2) are not known here."),
    };

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    public static partial int Allocate(SafeDescriptor file, int mode, long offset, long length);
}
