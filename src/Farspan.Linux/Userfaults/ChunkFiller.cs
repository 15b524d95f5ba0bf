using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using Farspan.Backends;

namespace Farspan.Linux.Userfaults;

/// <summary>Brings claimed chunks from the backend into the memory, each once, whoever asks for it. Thread-safe.</summary>
internal sealed class ChunkFiller(RegionCore region, RegionEvictor room)
{
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(1);

    /// <summary>
    /// Brings one chunk that the caller has claimed: on this thread where everything is at hand, else in a task of its own. Takes no memory in the
    /// first case, and does not fail.
    /// </summary>
    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "What a backend throws is the chunk's end, not the thread's.")]
    public void FillHere(long index, bool hasRoom = false)
    {
        if (!hasRoom && !room.TryTake(1))
        {
            FillLater(index, hasRoom: false);
            return;
        }

        FillBuffer? buffer = null;
        try
        {
            long length = region.BytesOf(index, 1);
            long lent = FillLent(region.Layout.OffsetOf(index), length, out var outcome);
            if (outcome == FillOutcome.Done && lent < length)
            {
                if (!region.Buffers.TryRent(out buffer))
                {
                    FillLater(index, hasRoom: true);
                    return;
                }

                var reading = region.Backend.ReadAsync(region.Layout.OffsetOf(index) + lent, buffer.Memory[(int)lent..(int)length], region.Stopping.Token);
                if (!reading.IsCompleted)
                {
                    var waiting = (Filler: this, Index: index, Buffer: buffer, Done: lent, Reading: reading.AsTask());
                    buffer = null;
                    region.Tasks.Run(static state => state.Filler.FinishReadAsync(state.Index, state.Buffer, state.Done, state.Reading), waiting);
                    return;
                }

                reading.GetAwaiter().GetResult();
                outcome = FillFrom(buffer, index, 1, lent);
            }

            if (outcome == FillOutcome.TryAgain)
                FillLater(index, hasRoom: true);
            else
                Conclude(index, 1, outcome);
        }
        catch (Exception error)
        {
            Fail(index, 1, error);
        }
        finally
        {
            if (buffer is not null)
                region.Buffers.Return(buffer);
        }
    }

    /// <summary>Brings a run of chunks that the caller has claimed, at most a batch. What they cannot be brought for is returned.</summary>
    /// <param name="first">The first chunk.</param>
    /// <param name="count">How many.</param>
    /// <param name="hasRoom">Whether room was taken for them.</param>
    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "Whatever it is ends the claim, and is told to all who wait.")]
    public async ValueTask<Exception?> FillAsync(long first, long count, bool hasRoom = false)
    {
        var stop = region.Stopping.Token;
        try
        {
            if (!hasRoom && !room.TryTake(count))
                await room.TakeAsync(count, stop);
            hasRoom = true;
            var outcome = FillOutcome.TryAgain;
            for (bool isFirst = true; outcome == FillOutcome.TryAgain; isFirst = false)
            {
                if (!isFirst)
                    await Task.Delay(s_pause, region.Options.Clock, stop);
                long length = region.BytesOf(first, count);
                long done = FillLent(region.Layout.OffsetOf(first), length, out outcome);
                if (outcome != FillOutcome.Done || done == length)
                    continue;
                var buffer = await region.Buffers.RentAsync(stop);
                try
                {
                    await region.Backend.ReadAsync(region.Layout.OffsetOf(first) + done, buffer.Memory[(int)done..(int)length], stop);
                    outcome = FillFrom(buffer, first, count, done);
                }
                finally
                {
                    region.Buffers.Return(buffer);
                }
            }

            return Conclude(first, count, outcome);
        }
        catch (Exception error)
        {
            Fail(first, count, error, hasRoom);
            return error;
        }
    }

    /// <summary>Copies what the backend lends, as whole pages; how far that came.</summary>
    private unsafe long FillLent(long offset, long length, out FillOutcome outcome)
    {
        outcome = FillOutcome.Done;
        long done = 0;
        if (region.Lender is not { } lender)
            return 0;
        if (length == HugePage.Length && region.Huge?.TryFill(offset) == true)
            return length;
        while (done < length && outcome == FillOutcome.Done)
        {
            if (!lender.TryLend(offset + done, (int)(length - done), out var lent))
                break;
            using (lent)
            {
                long pages = lent.Memory.Length & -Environment.SystemPageSize;
                if (pages == 0)
                    break;
                using var pin = lent.Memory.Pin();
                outcome = region.Memory.Fill(offset + done, (byte*)pin.Pointer, pages);
                done += pages;
            }
        }

        return done;
    }

    private async Task FinishReadAsync(long index, FillBuffer buffer, long done, Task reading)
    {
        try
        {
            await reading;
            var outcome = FillFrom(buffer, index, 1, done);
            if (outcome == FillOutcome.TryAgain)
                FillLater(index, hasRoom: true);
            else
                Conclude(index, 1, outcome);
        }
        catch (Exception error)
        {
            Fail(index, 1, error);
        }
        finally
        {
            region.Buffers.Return(buffer);
        }
    }

    private void FillLater(long index, bool hasRoom) => region.Tasks.Run(
        static async state =>
        {
            // Not on the thread that found out.
            await Task.Yield();
            await state.Filler.FillAsync(state.Index, 1, state.HasRoom);
        },
        (Filler: this, Index: index, HasRoom: hasRoom));

    /// <summary>Fills from a buffer that holds the chunks from their first byte on. Chunks of zeroes take no memory.</summary>
    private unsafe FillOutcome FillFrom(FillBuffer buffer, long first, long count, long from)
    {
        long start = region.Layout.OffsetOf(first);
        long bytes = region.BytesOf(first, count);
        long pages = region.PagesOf(first, count);

        // What follows the backend's end in its last page.
        buffer.Span[(int)bytes..(int)pages].Clear();
        while (from < pages)
        {
            long end = Next(from);
            bool isZero = IsZero(from, end);
            while (end < pages && !isZero && !IsZero(end, Next(end)))
                end = Next(end);
            var outcome = isZero ? region.Memory.FillZero(start + from, end - from) : region.Memory.Fill(start + from, buffer.Start + from, end - from);
            if (outcome != FillOutcome.Done)
                return outcome;
            from = end;
        }

        return FillOutcome.Done;

        long Next(long at) => Math.Min(pages, (at & -region.Layout.ChunkSize) + region.Layout.ChunkSize);
        bool IsZero(long at, long end) => !buffer.Span[(int)at..(int)end].ContainsAnyExcept((byte)0);
    }

    private BackendException? Conclude(long first, long count, FillOutcome outcome)
    {
        switch (outcome)
        {
            case FillOutcome.Done:
                region.Counters.Filled(region.BytesOf(first, count));
                for (long index = first; index < first + count; index++)
                    region.Finish(index, ChunkState.Present);
                return null;
            case FillOutcome.Gone:
                var gone = new BackendException(BackendError.NotFound, "A part of the region's memory was unmapped.");
                room.Return(count);
                for (long index = first; index < first + count; index++)
                    region.Finish(index, ChunkState.Gone, failure: gone);
                return gone;
            default:
                var full = new BackendException(BackendError.NoMemory, "The system has no memory for a part of the region.");
                Fail(first, count, full);
                return full;
        }
    }

    /// <summary>They cannot be brought: who waits in the kernel gets SIGBUS, or waits on where there is none; who called gets the error.</summary>
    private void Fail(long first, long count, Exception error, bool hasRoom = true)
    {
        if (hasRoom)
            room.Return(count);
        if (error is not OperationCanceledException)
            region.Counters.LastError = error;
        for (long index = first; index < first + count; index++)
        {
            bool isFaulted = (region.Table.Read(index) & ChunkTable.Faulted) != 0;
            if (isFaulted && region.Memory.CanPoison && !region.Stopping.IsCancellationRequested && TryPoison(index))
                region.Finish(index, ChunkState.Poisoned, failure: error);
            else if (isFaulted)
                region.Tasks.Run(static state => state.Filler.RetryAsync(state.Index, state.Error), (Filler: this, Index: index, Error: error));
            else
                region.Finish(index, ChunkState.Absent, failure: error);
        }
    }

    private bool TryPoison(long index)
    {
        try
        {
            return region.Memory.Poison(region.Layout.OffsetOf(index), region.PagesOf(index, 1)) == FillOutcome.Done;
        }
        catch (Exception error) when (error is BackendException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>Lets who waits in the kernel fault again after a while, which asks the backend again.</summary>
    private async Task RetryAsync(long index, Exception error)
    {
        try
        {
            await Task.Delay(region.Options.RetryDelay, region.Options.Clock, region.Stopping.Token);
        }
        catch (OperationCanceledException)
        {
            // The region ends, and who waits with it.
        }

        region.Finish(index, ChunkState.Absent, failure: error);
    }
}
