namespace Farspan.Linux.Interop;

/// <summary><c>UFFD_FEATURE_*</c> of linux/userfaultfd.h.</summary>
[Flags]
internal enum UserfaultFeatures : ulong
{
    None = 0,
    PAGEFAULT_FLAG_WP = 1 << 0,
    EVENT_FORK = 1 << 1,
    EVENT_REMAP = 1 << 2,
    EVENT_REMOVE = 1 << 3,
    MISSING_HUGETLBFS = 1 << 4,
    MISSING_SHMEM = 1 << 5,
    EVENT_UNMAP = 1 << 6,
    SIGBUS = 1 << 7,
    THREAD_ID = 1 << 8,
    MINOR_HUGETLBFS = 1 << 9,
    MINOR_SHMEM = 1 << 10,
    EXACT_ADDRESS = 1 << 11,
    WP_HUGETLBFS_SHMEM = 1 << 12,
    WP_UNPOPULATED = 1 << 13,
    POISON = 1 << 14,
    WP_ASYNC = 1 << 15,
    MOVE = 1 << 16,
}
