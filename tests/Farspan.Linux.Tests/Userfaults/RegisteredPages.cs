using Farspan.Linux.Interop;
using Farspan.Linux.Userfaults;
using Farspan.TestKit;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>Private memory whose faults a test answers, and what else it needs to try the kernel.</summary>
internal sealed class RegisteredPages : IDisposable
{
    public const int Page = 4096;

    private int _pages;

    public RegisteredPages(int pages, UserfaultFeatures features, uint modes = Libc.UFFDIO_REGISTER_MODE_MISSING)
    {
        _pages = pages;
        Address = Map(pages);
        Faults = UserfaultDescriptor.Open(features);
        Xunit.Assert.Equal(features, Faults.Features);
        Xunit.Assert.Equal(Errno.Ok, Faults.Register(Address, Length, modes, out _));
    }

    public ulong Address { get; }

    public ulong Length => (ulong)_pages * Page;

    public UserfaultDescriptor Faults { get; }

    public static ulong Map(int pages)
    {
        nint start = Libc.Map(0, (nuint)pages * Page, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS, -1, 0);
        Xunit.Assert.NotEqual(-1, start);
        return (ulong)start;
    }

    public static void Unmap(ulong address, int pages) => Xunit.Assert.Equal(0, Libc.Unmap((nint)address, (nuint)pages * Page));

    /// <summary>A byte of memory that is present.</summary>
    public static unsafe ref byte At(ulong address) => ref *(byte*)address;

    /// <summary>Reads a byte as native code does, on a thread of its own: it waits where the page is absent.</summary>
    public Task<byte> TouchAsync(int page)
        => Task.Factory.StartNew(() => Touch(page), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    public Task WriteAsync(int page, byte value) => Task.Factory.StartNew(
        () => Write(page, value), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>Writes a byte that is present.</summary>
    public unsafe void Write(int page, byte value) => Libc.CopyMemory((void*)(Address + ((ulong)page * Page)), &value, 1);

    /// <summary>Makes pages present, all bytes the same.</summary>
    public unsafe Errno Fill(int page, int count, byte value, uint mode, out long done)
    {
        byte[] bytes = new byte[count * Page];
        bytes.AsSpan().Fill(value);
        fixed (byte* source = bytes)
            return Faults.Copy(Address + ((ulong)page * Page), source, (ulong)bytes.Length, mode, out done);
    }

    /// <summary>The next message, once there is one.</summary>
    public async Task<UserfaultMessage> NextAsync()
    {
        UserfaultMessage found = default;
        await Eventually.HoldsAsync(() => Read(out found), "a message came");
        return found;
    }

    public unsafe bool Read(out UserfaultMessage message)
    {
        fixed (UserfaultMessage* first = &message)
            return Faults.Read(first, 1) == 1;
    }

    /// <summary>Unmaps the last page.</summary>
    public int UnmapLast() => Libc.Unmap((nint)(Address + ((ulong)--_pages * Page)), Page);

    /// <summary>Lists what was written since the last time, as page and count.</summary>
    public unsafe (int Page, int Count)[] TakeWritten(PageMap map)
    {
        var runs = stackalloc PageRun[8];
        var scan = new PageScan
        {
            Flags = Libc.PM_SCAN_WP_MATCHING | Libc.PM_SCAN_CHECK_WPASYNC,
            Start = Address,
            End = Address + Length,
            Runs = (ulong)runs,
            RunCapacity = 8,
            Inverted = Libc.PAGE_IS_PFNZERO,
            All = Libc.PAGE_IS_WRITTEN | Libc.PAGE_IS_PFNZERO,
            Any = Libc.PAGE_IS_PRESENT | Libc.PAGE_IS_SWAPPED,
            Told = Libc.PAGE_IS_WRITTEN,
        };
        int count = map.Scan(ref scan);
        Xunit.Assert.InRange(count, 0, 8);
        Xunit.Assert.Equal(scan.End, scan.WalkEnd);
        var found = new (int Page, int Count)[count];
        for (int i = 0; i < count; i++)
            found[i] = ((int)((runs[i].Start - Address) / Page), (int)((runs[i].End - runs[i].Start) / Page));
        return found;
    }

    public void Dispose()
    {
        // First: an unmap that is to be told would wait for a reader.
        _ = Faults.Unregister(Address, Length);
        Unmap(Address, _pages);
        Faults.Dispose();
    }

    private unsafe byte Touch(int page)
    {
        byte found = 0;
        Libc.CopyMemory(&found, (void*)(Address + ((ulong)page * Page)), 1);
        return found;
    }
}
