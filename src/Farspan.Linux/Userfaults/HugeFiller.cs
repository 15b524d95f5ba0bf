using System.Collections.Concurrent;
using Farspan.Backends;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Userfaults;

/// <summary>
/// Fills memory by huge pages that are filled elsewhere and moved in as they are (docs/decisions/0096): a quarter of the work of the system for each
/// byte, and whoever reads them has one entry of the page table to find instead of 512. Only of what a backend lends. Thread-safe.
/// </summary>
internal sealed unsafe class HugeFiller(RegionMemory memory, IMemoryLender lender) : IDisposable
{
    private const int MostKept = 4;

    private readonly ConcurrentStack<HugePage> _places = [];
    private volatile bool _isOff;

    /// <summary>Makes absent memory present, as long as a huge page and aligned like one; false where that cannot be. What was done stays.</summary>
    public bool TryFill(long offset)
    {
        if (_isOff || ((memory.Address + (ulong)offset) & (HugePage.Length - 1)) != 0)
            return false;
        var page = _places.TryPop(out var kept) ? kept : HugePage.TryCreate();
        if (page is null)
            return false;
        try
        {
            return TryCopyLent(offset, page) && TryMove(offset, page);
        }
        finally
        {
            Keep(page);
        }
    }

    public void Dispose()
    {
        _isOff = true;
        while (_places.TryPop(out var page))
            page.Dispose();
    }

    private bool TryCopyLent(long offset, HugePage page)
    {
        for (int done = 0; done < HugePage.Length;)
        {
            if (!lender.TryLend(offset + done, HugePage.Length - done, out var lent))
                return false;
            using (lent)
            {
                // Not before it is known that there is something to be copied.
                if (done == 0 && !page.TryProvide())
                {
                    _isOff = true;
                    return false;
                }

                lent.Memory.Span.CopyTo(new Span<byte>(page.Start + done, HugePage.Length - done));
                done += lent.Memory.Length;
            }
        }

        return true;
    }

    private bool TryMove(long offset, HugePage page)
    {
        var error = memory.MoveIn(offset, page);
        _isOff |= error is not (Errno.Ok or Errno.EAGAIN or Errno.EEXIST);
        return error == Errno.Ok;
    }

    private void Keep(HugePage page)
    {
        if (_places.Count < MostKept)
            _places.Push(page);
        else
            page.Dispose();
        if (_isOff)
            Dispose();
    }
}
