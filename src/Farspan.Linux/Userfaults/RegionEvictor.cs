using System.Diagnostics.CodeAnalysis;
using Farspan.Backends;
using Farspan.Units;

namespace Farspan.Linux.Userfaults;

/// <summary>
/// Keeps a region within its resident limit: a hand goes round over the chunks, and drops what nobody holds and nobody used since it passed; what was
/// written is saved first. Thread-safe.
/// </summary>
internal sealed class RegionEvictor(RegionCore region)
{
    /// <summary>Chunks that are dropped in one go.</summary>
    private const int MostTogether = 16;

    /// <summary>Chunks that a sweep passes because they were written, before it leaves them to be saved.</summary>
    private const int MostSpared = 64;

    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(1);

    private readonly Lock _hand = new();
    private long _next;
    private long _taken;

    /// <summary>Chunks that are in memory, or are on their way there.</summary>
    public long Resident => Volatile.Read(ref _taken);

    /// <summary>Saves what was written in a run of chunks.</summary>
    public Func<long, long, CancellationToken, Task> Save { get; set; } = static (_, _, _) => Task.CompletedTask;

    /// <summary>Takes room for some chunks, without waiting: what is clean goes for it.</summary>
    public bool TryTake(long count)
    {
        if (TryAdd(count))
            return true;
        _ = Sweep(count);
        return TryAdd(count);
    }

    /// <summary>Takes room, and waits for what was written to be saved.</summary>
    /// <exception cref="BackendException">Everything in memory is held, or what was written cannot be saved.</exception>
    public async Task TakeAsync(long count, CancellationToken cancellationToken)
    {
        while (!TryAdd(count))
        {
            long? written = Sweep(count);
            if (TryAdd(count))
                return;
            if (written is { } index)
                await Save(index, Math.Min(region.Table.Count, index + region.BatchChunks), cancellationToken);
            else if (region.HeldChunks >= region.LimitChunks)
                throw TooSmall();
            else
                await Task.Delay(s_pause, region.Options.Clock, cancellationToken);
        }
    }

    /// <summary>Gives room back: of chunks that were dropped, or could not be brought.</summary>
    public void Return(long count) => Interlocked.Add(ref _taken, -count);

    /// <summary>The one error of a limit that cannot be kept.</summary>
    public BackendException TooSmall() => new(
        BackendError.NoMemory,
        $"The region may have {ByteSize.Format(region.Options.ResidentLimit ?? 0)} in memory, and views hold {ByteSize.Format(region.HeldChunks * region.Layout.ChunkSize)} of it: dispose views, or give it a larger limit.");

    private bool TryAdd(long count)
    {
        if (Interlocked.Add(ref _taken, count) <= region.LimitChunks)
            return true;
        Interlocked.Add(ref _taken, -count);
        return false;
    }

    /// <summary>Drops clean chunks until there is room, twice around at most: once to pass those that were used.</summary>
    /// <returns>A chunk that would have gone, had it not been written.</returns>
    private long? Sweep(long count)
    {
        long? written = null;
        int spared = 0;
        lock (_hand)
        {
            for (long left = 2 * region.Table.Count; left > 0 && spared < MostSpared && Resident + count > region.LimitChunks;)
            {
                long skipped = region.Table.SkipUntouched(_next, region.Table.Count);
                left -= skipped - _next;
                _next = skipped;
                if (_next >= region.Table.Count)
                {
                    _next = 0;
                    left--;
                    continue;
                }

                long run = TakeRun(_next, Math.Min(region.Table.Count, _next + MostTogether));
                if (run > 0)
                    Drop(_next, run, ref written, ref spared);
                else if (IsToBeSaved(_next))
                    Spare(_next, ref written, ref spared);
                _next += Math.Max(1, run);
                left -= Math.Max(1, run);
            }
        }

        return written;
    }

    private static void Spare(long index, ref long? written, ref int spared)
    {
        written ??= index;
        spared++;
    }

    private long TakeRun(long first, long end)
    {
        long run = 0;
        while (first + run < end && region.Table.TryTake(first + run))
            run++;
        return run;
    }

    private bool IsToBeSaved(long index)
    {
        uint word = region.Table.Read(index);
        return ChunkTable.StateOf(word) == ChunkState.Present && (word & ChunkTable.Unsaved) != 0 && !ChunkTable.IsHeld(word);
    }

    /// <summary>Drops a run that was taken: together if all of it is clean, else one by one.</summary>
    private void Drop(long first, long count, ref long? written, ref int spared)
    {
        if (TryDrop(first, count))
        {
            Finish(first, count, ChunkState.Absent);
            return;
        }

        for (long index = first; index < first + count; index++)
        {
            bool isDropped = count > 1 && TryDrop(index, 1);
            if (!isDropped)
                Spare(index, ref written, ref spared);
            Finish(index, 1, isDropped ? ChunkState.Absent : ChunkState.Present);
        }
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "A chunk that cannot be dropped stays, and the region says why.")]
    private bool TryDrop(long first, long count)
    {
        try
        {
            return region.Memory.TryDrop(region.Layout.OffsetOf(first), region.PagesOf(first, count));
        }
        catch (Exception error)
        {
            region.Counters.LastError = error;
            return false;
        }
    }

    private void Finish(long first, long count, ChunkState state)
    {
        if (state == ChunkState.Absent)
        {
            Return(count);
            region.Counters.Evicted(region.BytesOf(first, count));
        }

        for (long index = first; index < first + count; index++)
            region.Finish(index, state);
    }
}
