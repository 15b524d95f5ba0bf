using System.Runtime.InteropServices;

namespace Farspan.Linux.Interop;

/// <summary><c>struct uffd_msg</c>: what a userfault descriptor tells. Which fields mean something depends on the event.</summary>
[StructLayout(LayoutKind.Explicit, Size = 32)]
internal struct UserfaultMessage
{
    [FieldOffset(0)]
    public UserfaultEvent Event;

    /// <summary>Page fault: UFFD_PAGEFAULT_FLAG_*.</summary>
    [FieldOffset(8)]
    public ulong FaultFlags;

    /// <summary>Page fault: where.</summary>
    [FieldOffset(16)]
    public ulong FaultAddress;

    /// <summary>Page fault: the thread, where that was asked for.</summary>
    [FieldOffset(24)]
    public uint FaultThread;

    /// <summary>Fork: the descriptor of the child's memory.</summary>
    [FieldOffset(8)]
    public uint ForkDescriptor;

    [FieldOffset(8)]
    public ulong RemapFrom;

    [FieldOffset(16)]
    public ulong RemapTo;

    [FieldOffset(24)]
    public ulong RemapLength;

    /// <summary>Remove and unmap: the first byte.</summary>
    [FieldOffset(8)]
    public ulong RemoveStart;

    /// <summary>Remove and unmap: the end.</summary>
    [FieldOffset(16)]
    public ulong RemoveEnd;
}
