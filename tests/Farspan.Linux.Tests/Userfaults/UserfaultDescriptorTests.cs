using Farspan.Linux.Interop;
using Farspan.Linux.Userfaults;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>Every request, tried on this kernel: a wrong number or layout would show.</summary>
public sealed class UserfaultDescriptorTests
{
    private const int Page = RegisteredPages.Page;

    [RequiresFact("userfault")]
    public async Task AbsentPage_IsTold_AndCopied()
    {
        using var pages = new RegisteredPages(4, UserfaultFeatures.None);
        var touched = pages.TouchAsync(2);
        var message = await pages.NextAsync();
        Assert.Equal(UserfaultEvent.PAGEFAULT, message.Event);
        Assert.Equal(pages.Address + (2 * Page), message.FaultAddress);
        Assert.False(touched.IsCompleted);
        Assert.Equal(Errno.Ok, pages.Fill(2, 1, 42, 0, out long done));
        Assert.Equal(Page, done);
        Assert.Equal(42, await touched);
        Assert.Equal(Errno.EEXIST, pages.Fill(2, 1, 43, 0, out _));
    }

    [RequiresFact("userfault")]
    public Task CopyOverAPresentPage_StopsThere_AndSaysHowFarItCame()
    {
        using var pages = new RegisteredPages(4, UserfaultFeatures.None);
        Assert.Equal(Errno.Ok, pages.Fill(2, 1, 1, 0, out _));
        Assert.Equal(Errno.EAGAIN, pages.Fill(0, 4, 2, 0, out long done));
        Assert.Equal(2 * Page, done);
        Assert.Equal(Errno.EEXIST, pages.Fill(2, 2, 2, 0, out done));
        Assert.Equal(0, done);
        Assert.Equal(Errno.Ok, pages.Fill(3, 1, 2, 0, out _));
        return Task.CompletedTask;
    }

    [RequiresFact("userfault")]
    public async Task ZeroPages_AreZero_AndNoCopies()
    {
        using var pages = new RegisteredPages(4, UserfaultFeatures.None);
        Assert.Equal(Errno.Ok, pages.Faults.ZeroPages(pages.Address, pages.Length, 0, out long done));
        Assert.Equal((long)pages.Length, done);
        Assert.Equal(0, await pages.TouchAsync(3));
    }

    [RequiresFact("userfault")]
    public async Task CopyWithoutWaking_LeavesTheThreadAsleep_UntilItIsWoken()
    {
        using var pages = new RegisteredPages(1, UserfaultFeatures.None);
        var touched = pages.TouchAsync(0);
        await pages.NextAsync();
        Assert.Equal(Errno.Ok, pages.Fill(0, 1, 9, Libc.UFFDIO_COPY_MODE_DONTWAKE, out _));
        Assert.False(touched.IsCompleted);
        Assert.Equal(Errno.Ok, pages.Faults.Wake(pages.Address, pages.Length));
        Assert.Equal(9, await touched);
    }

    [RequiresFact("userfault")]
    public async Task WriteToAProtectedPage_IsTold_AndGoesOnOnceItMay()
    {
        using var pages = new RegisteredPages(2, UserfaultFeatures.PAGEFAULT_FLAG_WP, Libc.UFFDIO_REGISTER_MODE_MISSING | Libc.UFFDIO_REGISTER_MODE_WP);
        Assert.Equal(Errno.Ok, pages.Fill(0, 2, 1, Libc.UFFDIO_COPY_MODE_WP, out _));
        Assert.Equal(1, await pages.TouchAsync(1));
        var written = pages.WriteAsync(1, 2);
        var message = await pages.NextAsync();
        Assert.Equal(Libc.UFFD_PAGEFAULT_FLAG_WRITE | Libc.UFFD_PAGEFAULT_FLAG_WP, message.FaultFlags);
        Assert.Equal(Errno.Ok, pages.Faults.WriteProtect(pages.Address, pages.Length, 0));
        await written;
        Assert.Equal(2, await pages.TouchAsync(1));
    }

    [RequiresFact("userfault", "userfault:WP_ASYNC")]
    public Task WrittenPages_AreFoundByAScan_OnceForEachRoundOfWrites()
    {
        using var pages = new RegisteredPages(
            8, UserfaultFeatures.PAGEFAULT_FLAG_WP | UserfaultFeatures.WP_ASYNC, Libc.UFFDIO_REGISTER_MODE_MISSING | Libc.UFFDIO_REGISTER_MODE_WP);
        using var map = PageMap.Open();
        Assert.Equal(Errno.Ok, pages.Fill(0, 6, 1, Libc.UFFDIO_COPY_MODE_WP, out _));
        Assert.Equal(Errno.Ok, pages.Faults.ZeroPages(pages.Address + (6 * Page), Page, 0, out _));
        Assert.Empty(pages.TakeWritten(map));
        pages.Write(1, 7);
        pages.Write(2, 7);
        pages.Write(5, 7);
        pages.Write(6, 7);
        Assert.Equal([(1, 2), (5, 2)], pages.TakeWritten(map));
        Assert.Empty(pages.TakeWritten(map));
        pages.Write(6, 8);
        Assert.Equal([(6, 1)], pages.TakeWritten(map));
        Assert.True(map.IsHere(pages.Address));
        Assert.False(map.IsHere(pages.Address + (7 * Page)));
        return Task.CompletedTask;
    }

    [RequiresFact("userfault", "userfault:POISON")]
    public Task PoisonedPage_RefusesCopies_UntilItIsDropped()
    {
        using var pages = new RegisteredPages(2, UserfaultFeatures.POISON);
        Assert.Equal(Errno.Ok, pages.Faults.Poison(pages.Address, Page, 0, out long done));
        Assert.Equal(Page, done);
        Assert.Equal(Errno.EEXIST, pages.Faults.Poison(pages.Address, Page, 0, out _));
        Assert.Equal(0, Libc.Advise((nint)pages.Address, Page, Libc.MADV_DONTNEED));
        Assert.Equal(Errno.Ok, pages.Fill(0, 1, 5, 0, out _));
        return Task.CompletedTask;
    }

    [RequiresFact("userfault", "userfault:MOVE")]
    public async Task MovedPage_LeavesItsPlaceAbsent()
    {
        using var pages = new RegisteredPages(2, UserfaultFeatures.MOVE);
        ulong staging = RegisteredPages.Map(1);
        RegisteredPages.At(staging) = 77;
        var touched = pages.TouchAsync(1);
        await pages.NextAsync();
        Assert.Equal(Errno.Ok, pages.Faults.Move(pages.Address + Page, staging, Page, 0, out long done));
        Assert.Equal(Page, done);
        Assert.Equal(77, await touched);
        Assert.Equal(0, RegisteredPages.At(staging));
        RegisteredPages.Unmap(staging, 1);
    }

    [RequiresFact("userfault")]
    public async Task DroppedAndUnmappedPages_AreTold()
    {
        using var pages = new RegisteredPages(4, UserfaultFeatures.EVENT_REMOVE | UserfaultFeatures.EVENT_UNMAP | UserfaultFeatures.EVENT_REMAP);
        Assert.Equal(Errno.Ok, pages.Fill(0, 4, 1, 0, out _));
        var dropped = Task.Run(() => Libc.Advise((nint)pages.Address + Page, 2 * Page, Libc.MADV_DONTNEED));
        var message = await pages.NextAsync();
        Assert.Equal((UserfaultEvent.REMOVE, pages.Address + Page, pages.Address + (3 * Page)), (message.Event, message.RemoveStart, message.RemoveEnd));
        Assert.Equal(0, await dropped);
        var unmapped = Task.Run(pages.UnmapLast);
        message = await pages.NextAsync();
        Assert.Equal((UserfaultEvent.UNMAP, pages.Address + (3 * Page), pages.Address + (4 * Page)), (message.Event, message.RemoveStart, message.RemoveEnd));
        Assert.Equal(0, await unmapped);
        Assert.Equal(Errno.ENOENT, pages.Fill(3, 1, 1, 0, out _));
    }

    [Fact(Timeout = 120_000)]
    public Task FeatureThatNoKernelHas_IsLeftOut()
    {
        if (Requirement.Missing(["userfault"]) is null)
        {
            using var faults = UserfaultDescriptor.Open((UserfaultFeatures)(1UL << 62) | UserfaultFeatures.MISSING_SHMEM);
            Assert.Equal(UserfaultFeatures.MISSING_SHMEM, faults.Features);
        }

        return Task.CompletedTask;
    }
}
