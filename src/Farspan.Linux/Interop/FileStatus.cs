using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary>The parts of <c>struct statx</c> (linux/stat.h) that are used here; the same on every processor.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct FileStatus
{
    /// <summary>Which fields the kernel has filled.</summary>
    [FieldOffset(0)]
    public uint Mask;

    [FieldOffset(4)]
    public uint BlockSize;

    [FieldOffset(20)]
    public uint OwnerId;

    [FieldOffset(28)]
    public ushort Mode;

    [FieldOffset(40)]
    public ulong Size;

    /// <summary>Device that the file is on.</summary>
    [FieldOffset(136)]
    public uint DeviceMajor;

    [FieldOffset(140)]
    public uint DeviceMinor;

    /// <summary>Number of the mount; one that is never used again where the mask has <see cref="Libc.STATX_MNT_ID_UNIQUE"/>.</summary>
    [FieldOffset(144)]
    public ulong MountId;

    /// <summary>How a buffer must lie for O_DIRECT; 0 where the file has none.</summary>
    [FieldOffset(152)]
    public uint DirectMemoryAlignment;

    /// <summary>What offsets and lengths must be multiples of for O_DIRECT.</summary>
    [FieldOffset(156)]
    public uint DirectOffsetAlignment;
}
