namespace Farspan.Linux.Interop;

/// <summary><c>UFFD_EVENT_*</c> of linux/userfaultfd.h.</summary>
internal enum UserfaultEvent : byte
{
    PAGEFAULT = 0x12,
    FORK = 0x13,
    REMAP = 0x14,
    REMOVE = 0x15,
    UNMAP = 0x16,
}
