namespace Farspan.Linux.Fuse.Protocol;

/// <summary>The <c>FUSE_…</c> flags of INIT; the upper half travels in <c>flags2</c>.</summary>
[Flags]
internal enum FuseInitFlags : ulong
{
    None = 0,
    ASYNC_READ = 1UL << 0,
    BIG_WRITES = 1UL << 5,
    ASYNC_DIO = 1UL << 15,
    WRITEBACK_CACHE = 1UL << 16,
    PARALLEL_DIROPS = 1UL << 18,
    ABORT_ERROR = 1UL << 21,
    MAX_PAGES = 1UL << 22,
    EXPLICIT_INVAL_DATA = 1UL << 25,
    INIT_EXT = 1UL << 30,
    REQUEST_TIMEOUT = 1UL << 42,
}
