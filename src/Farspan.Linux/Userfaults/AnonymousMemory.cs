using Farspan.Linux.Interop;

namespace Farspan.Linux.Userfaults;

/// <summary>
/// Private memory of this process. The kernel notes writes by itself where it can (asynchronous write-protection, found by scanning the page map), so
/// that nobody waits for that; where it cannot, what was handed out for writing is taken as written.
/// </summary>
/// <remarks>A child process does not get it, and a core dump leaves it out: both would meet absent pages that nobody brings.</remarks>
internal sealed unsafe class AnonymousMemory : RegionMemory
{
    private const UserfaultFeatures Tracking = UserfaultFeatures.PAGEFAULT_FLAG_WP | UserfaultFeatures.WP_ASYNC;

    private const int ScanCapacity = 64;

    private readonly PageMap _pages;
    private readonly bool _isReadOnly;
    private bool _isGivenUp;
    private bool _isUnmapped;

    private AnonymousMemory(UserfaultDescriptor faults, nint address, long length, bool tracksWrites, bool isReadOnly, PageMap pages)
        : base(faults, (ulong)address, length, tracksWrites)
    {
        _pages = pages;
        _isReadOnly = isReadOnly;
        TracksWrites = tracksWrites;
    }

    public override bool TracksWrites { get; }

    /// <summary>Maps memory, and has its faults told.</summary>
    /// <param name="length">Bytes; whole pages, at least one.</param>
    /// <param name="isReadOnly">Whether writing into it is to end the process.</param>
    /// <param name="more">Features beside those that it needs, such as for events.</param>
    /// <param name="without">Features that it is to do without, as on an older kernel.</param>
    /// <exception cref="Backends.BackendException">The system has no room, or no userfaults for this user.</exception>
    public static AnonymousMemory Create(
        long length, bool isReadOnly, UserfaultFeatures more = UserfaultFeatures.None, UserfaultFeatures without = UserfaultFeatures.None)
    {
        int protection = isReadOnly ? Libc.PROT_READ : Libc.PROT_READ | Libc.PROT_WRITE;
        nint address = MapAligned(length, protection);
        UserfaultDescriptor? faults = null;
        PageMap? pages = null;
        try
        {
            // Huge pages would be split by the first fill, and would make a chunk present whose pages were never asked for.
            foreach (int advice in (ReadOnlySpan<int>)[Libc.MADV_DONTFORK, Libc.MADV_DONTDUMP, Libc.MADV_NOHUGEPAGE])
                _ = Libc.Advise(address, (nuint)length, advice);
            pages = PageMap.Open();
            faults = UserfaultDescriptor.Open((Tracking | UserfaultFeatures.POISON | UserfaultFeatures.MOVE | more) & ~without);
            bool tracks = (faults.Features & Tracking) == Tracking;
            ulong modes = Libc.UFFDIO_REGISTER_MODE_MISSING | (tracks ? Libc.UFFDIO_REGISTER_MODE_WP : 0);
            if (faults.Register((ulong)address, (ulong)length, modes, out _) is var error and not Errno.Ok)
                throw LinuxError.Exception(error, $"UFFDIO_REGISTER of {length} bytes");
            return new AnonymousMemory(faults, address, length, tracks, isReadOnly, pages);
        }
        catch
        {
            faults?.Dispose();
            pages?.Dispose();
            _ = Libc.Unmap(address, (nuint)length);
            throw;
        }
    }

    // The kernel moves pages only where they may be written.
    public override bool CanMoveIn => !_isReadOnly && Length >= HugePage.Length && Faults.Features.HasFlag(UserfaultFeatures.MOVE);

    public override Errno MoveIn(long offset, HugePage page)
    {
        ulong address = Address + (ulong)offset;
        var error = Faults.Move(address, (ulong)page.Start, HugePage.Length, TracksWrites ? Libc.UFFDIO_MOVE_MODE_DONTWAKE : 0, out long done);
        if (TracksWrites && done > 0)
        {
            // Where they cannot be protected they count as written, which loses nothing.
            _ = Faults.WriteProtect(address, (ulong)done, Libc.UFFDIO_WRITEPROTECT_MODE_WP);
            Wake(offset, done);
        }

        return error;
    }

    public override bool IsHere(long offset) => _pages.IsHere(Address + (ulong)offset);

    public override void AllowWrites(long offset, long end)
    {
        // The kernel answers them.
    }

    public override int ListWritten(long offset, long length, Span<PageSpan> written, out long end) => Scan(0, offset, length, written, out end);

    public override int TakeWritten(long offset, long length, Span<PageSpan> written, out long end)
        => Scan(Libc.PM_SCAN_WP_MATCHING, offset, length, written, out end);

    // Native code: were a page absent after all, the thread would wait as any other that touches it, and not where the collector waits for it.
    public override void CopyOut(long offset, byte* destination, long length) => Libc.CopyMemory(destination, (byte*)Address + offset, (nuint)length);

    /// <summary>Writes into pages that are present.</summary>
    public void CopyIn(long offset, byte* source, long length) => Libc.CopyMemory((byte*)Address + offset, source, (nuint)length);

    public override bool TryDrop(long offset, long length)
    {
        Span<PageSpan> written = stackalloc PageSpan[1];
        if (TracksWrites && ListWritten(offset, length, written, out _) > 0)
            return false;
        Drop(offset, length);
        return true;
    }

    public override void Drop(long offset, long length)
    {
        if (Libc.Advise((nint)Address + (nint)offset, (nuint)length, Libc.MADV_DONTNEED) != 0)
            throw LinuxError.Exception(LinuxError.Last, $"dropping {length} bytes at {offset} of a region");
    }

    public override void GiveUp()
    {
        if (Interlocked.Exchange(ref _isGivenUp, true))
            return;

        // In this order: once the memory is not registered any more, absent pages would read as zero, so by then nobody may read them. The place is kept
        // until the threads have ended: who waited for a page looks again, and must not find what others have mapped there since.
        _ = Libc.Protect((nint)Address, (nuint)Length, 0);
        _ = Faults.Unregister(Address, (ulong)Length);
        _ = Libc.Advise((nint)Address, (nuint)Length, Libc.MADV_DONTNEED);
        _pages.Dispose();
    }

    public override void Dispose()
    {
        base.Dispose();
        if (!Interlocked.Exchange(ref _isUnmapped, true))
            _ = Libc.Unmap((nint)Address, (nuint)Length);
    }

    /// <summary>Maps memory of which each huge page could be one.</summary>
    private static nint MapAligned(long length, int protection)
    {
        nint extra = length >= HugePage.Length ? HugePage.Length : 0;
        nint mapping = Libc.Map(0, (nuint)(length + extra), protection, Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_NORESERVE, -1, 0);
        if (mapping == -1)
            throw LinuxError.Exception(LinuxError.Last, $"mapping {length} bytes of memory");
        nint address = extra == 0 ? mapping : (mapping + extra - 1) & -extra;
        if (address > mapping)
            _ = Libc.Unmap(mapping, (nuint)(address - mapping));
        if (mapping + extra > address)
            _ = Libc.Unmap(address + (nint)length, (nuint)(mapping + extra - address));
        return address;
    }

    private int Scan(ulong flags, long offset, long length, Span<PageSpan> written, out long end)
    {
        end = offset + length;
        if (!TracksWrites)
            return 0;
        int capacity = Math.Min(written.Length, ScanCapacity);
        var runs = stackalloc PageRun[ScanCapacity];

        // Not the shared page of zeroes: it is not protected when it comes, and never holds anything that was written.
        var scan = new PageScan
        {
            Flags = flags | Libc.PM_SCAN_CHECK_WPASYNC,
            Start = Address + (ulong)offset,
            End = Address + (ulong)(offset + length),
            Runs = (ulong)runs,
            RunCapacity = (ulong)capacity,
            Inverted = Libc.PAGE_IS_PFNZERO,
            All = Libc.PAGE_IS_WRITTEN | Libc.PAGE_IS_PFNZERO,
            Any = Libc.PAGE_IS_PRESENT | Libc.PAGE_IS_SWAPPED,
            Told = Libc.PAGE_IS_WRITTEN,
        };
        int count = _pages.Scan(ref scan);
        if (count < 0)
            throw LinuxError.Exception((Errno)(-count), $"PAGEMAP_SCAN of {length} bytes at {offset} of a region");
        end = (long)(scan.WalkEnd - Address);
        for (int i = 0; i < count; i++)
            written[i] = new PageSpan((long)(runs[i].Start - Address), (long)(runs[i].End - runs[i].Start));
        return count;
    }
}
