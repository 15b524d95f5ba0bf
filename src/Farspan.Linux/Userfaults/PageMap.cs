using Farspan.Linux.Interop;

namespace Farspan.Linux.Userfaults;

/// <summary>What the kernel knows of this process's pages (<c>/proc/self/pagemap</c>). Thread-safe.</summary>
internal sealed unsafe class PageMap : IDisposable
{
    private const ulong HereMask = 3UL << 62;

    private readonly SafeDescriptor _file;

    private PageMap(SafeDescriptor file) => _file = file;

    /// <exception cref="Backends.BackendException">It cannot be opened.</exception>
    public static PageMap Open()
    {
        const string path = "/proc/self/pagemap";
        var file = new SafeDescriptor(Libc.Open(path, Libc.O_RDONLY | Libc.O_CLOEXEC, 0));
        return file.IsInvalid ? throw LinuxError.Exception(LinuxError.Last, $"opening {path}") : new PageMap(file);
    }

    /// <summary>Lists runs of pages by what they are, and in the same step protects them where the scan says so.</summary>
    /// <returns>The number of runs, or the negated errno.</returns>
    public int Scan(ref PageScan scan)
    {
        scan.Size = (ulong)sizeof(PageScan);
        fixed (PageScan* argument = &scan)
        {
            int count = Libc.ControlUserfault(_file, Libc.PAGEMAP_SCAN, argument);
            return count >= 0 ? count : -(int)LinuxError.Last;
        }
    }

    /// <summary>Whether a page is in memory or swapped out, not absent.</summary>
    public bool IsHere(ulong address)
    {
        ulong entry;
        long offset = (long)(address / (ulong)Environment.SystemPageSize) * sizeof(ulong);
        return Libc.ReadAt(_file, (byte*)&entry, sizeof(ulong), offset) == sizeof(ulong) && (entry & HereMask) != 0;
    }

    public void Dispose() => _file.Dispose();
}
