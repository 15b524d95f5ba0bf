using System.Diagnostics.CodeAnalysis;
using Farspan.Backends;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Userfaults;

/// <summary>Decides what becomes of each message of a region's descriptor. Any number of threads call it.</summary>
/// <remarks>
/// What happens to the memory beside faults (docs/decisions/0091): pages that somebody drops are brought again when they are touched, without what was
/// written and not saved; what is unmapped is gone; memory that is moved as a whole is followed, and of which a part is moved, that part is gone and
/// its touches end in SIGBUS; a child process has what is present, and SIGBUS for the rest.
/// </remarks>
internal sealed class FaultHandler(RegionCore region, ChunkFiller filler, RegionPrefetcher prefetcher, RegionEvictor room)
{
    /// <summary>Handles a message.</summary>
    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "The thread has other faults to answer; the region says what failed.")]
    public void Handle(in UserfaultMessage message)
    {
        try
        {
            switch (message.Event)
            {
                case UserfaultEvent.PAGEFAULT:
                    AnswerFault(message.FaultAddress, message.FaultFlags);
                    break;
                case UserfaultEvent.REMOVE:
                    Removed(message.RemoveStart, message.RemoveEnd, ChunkState.Absent);
                    break;
                case UserfaultEvent.UNMAP:
                    Removed(message.RemoveStart, message.RemoveEnd, ChunkState.Gone);
                    break;
                case UserfaultEvent.REMAP:
                    Moved(message.RemapFrom, message.RemapTo, message.RemapLength);
                    break;
                case UserfaultEvent.FORK:
                    ForkedCopy.Seal(region, new SafeDescriptor((int)message.ForkDescriptor));
                    break;
            }
        }
        catch (Exception error)
        {
            region.Counters.LastError = error;
        }
    }

    private void AnswerFault(ulong address, ulong flags)
    {
        region.Counters.Fault();
        ulong page = address & (ulong)-Environment.SystemPageSize;
        if (!region.Memory.TryLocate(page, out long offset))
        {
            _ = region.Memory.Faults.Poison(page, (ulong)Environment.SystemPageSize, 0, out _);
            return;
        }

        long index = region.Layout.IndexOf(offset);
        bool isProtected = (flags & Libc.UFFD_PAGEFAULT_FLAG_WP) != 0;
        while (!(isProtected ? TryAllowWrite(index, offset) : TryAnswer(index, offset)))
        {
        }
    }

    /// <summary>False where the chunk has changed meanwhile.</summary>
    private bool TryAnswer(long index, long offset)
    {
        switch (region.Table.StateOf(index))
        {
            case ChunkState.Absent:
                if (!region.Table.TryMove(index, ChunkState.Absent, ChunkState.Filling, ChunkTable.Faulted))
                    return false;
                filler.FillHere(index);
                prefetcher.Observe(index);
                return true;
            case ChunkState.Filling:
                if (!region.Table.TryMark(index, ChunkState.Filling, ChunkTable.Faulted))
                    return false;
                prefetcher.Observe(index);
                return true;
            case ChunkState.Evicting:
                return region.Table.TryMark(index, ChunkState.Evicting, ChunkTable.Faulted);
            case ChunkState.Present:
                // Brought since the message was sent, which woke the thread; else somebody dropped the page.
                if (region.Memory.IsHere(offset))
                    return true;
                if (!region.Table.TryMove(index, ChunkState.Present, ChunkState.Filling, ChunkTable.Faulted))
                    return false;
                filler.FillHere(index, hasRoom: true);
                return true;
            default:
                _ = region.Memory.Poison(offset, Environment.SystemPageSize);
                return true;
        }
    }

    private bool TryAllowWrite(long index, long offset)
    {
        // Who drops it looks once more whether it was written, and wakes the writer, who tries again.
        if (region.Table.StateOf(index) == ChunkState.Evicting)
            return region.Table.TryMark(index, ChunkState.Evicting, ChunkTable.Faulted);
        region.Memory.AllowWrites(offset, region.Layout.OffsetOf(index) + region.PagesOf(index, 1));
        return true;
    }

    private void Removed(ulong start, ulong end, ChunkState state)
    {
        ulong from = Math.Max(start, region.Memory.Address);
        ulong to = Math.Min(end, region.Memory.Address + (ulong)region.Memory.Length);
        if (from >= to)
            return;
        long offset = (long)(from - region.Memory.Address);
        long stop = (long)(to - region.Memory.Address);
        long last = region.Layout.IndexOf(stop - 1);
        for (long index = region.Layout.IndexOf(offset); index <= last; index++)
        {
            // Of a chunk that is not dropped as a whole the rest is used on; it is brought in part.
            bool isWhole = region.Layout.OffsetOf(index) >= offset && region.Layout.OffsetOf(index) + region.PagesOf(index, 1) <= stop;
            if (state == ChunkState.Gone)
                Lose(index);
            else if (isWhole && region.Table.TryTake(index))
                Give(index, ChunkState.Absent);
        }
    }

    private void Lose(long index)
    {
        // What is being brought finds out by itself.
        if (region.Table.TryMove(index, ChunkState.Present, ChunkState.Evicting))
            Give(index, ChunkState.Gone);
        else
            _ = region.Table.TryMove(index, ChunkState.Absent, ChunkState.Gone);
    }

    private void Give(long index, ChunkState state)
    {
        room.Return(1);
        region.Finish(index, state);
    }

    private void Moved(ulong from, ulong to, ulong length)
    {
        if (from == region.Memory.Address && length == (ulong)region.Memory.Length)
            region.Memory.MoveTo(to);
        else
            Removed(from, from + length, ChunkState.Gone);
    }
}
