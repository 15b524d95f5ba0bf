using System.Diagnostics.CodeAnalysis;
using System.Runtime.ExceptionServices;
using Farspan.Backends;

namespace Farspan.Linux.Userfaults;

/// <summary>
/// Brings what was written in memory to the backend. Pages are protected again before they are copied, so that a write which comes meanwhile is found
/// the next time; what cannot be saved stays to be saved. Thread-safe; one save runs at a time.
/// </summary>
#pragma warning disable CA1001 // A save that its backend never ends may give its turn back long after the region's end.
internal sealed class RegionSaver(RegionCore region)
#pragma warning restore CA1001
{
    private const int SpanCapacity = 64;

    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly HashSet<long> _unsaved = [];
    private readonly PageSpan[] _listed = new PageSpan[SpanCapacity];
    private readonly PageSpan[] _taken = new PageSpan[SpanCapacity];
    private readonly List<Task> _writes = [];
    private long _written;

    /// <summary>Has a chunk saved whole the next time.</summary>
    public void MarkUnsaved(long index)
    {
        lock (_unsaved)
        {
            if (region.Table.TryMark(index, ChunkState.Present, ChunkTable.Unsaved))
                _unsaved.Add(index);
        }
    }

    /// <summary>Bytes that are to be saved, as far as is known without a look at each page.</summary>
    public long CountWritten()
    {
        var spans = new PageSpan[SpanCapacity];
        long count = 0;
        for (long at = 0; at < region.Memory.Length;)
        {
            int found = region.Memory.ListWritten(at, region.Memory.Length - at, spans, out at);
            foreach (var span in spans.AsSpan(0, found))
                count += Present(span);
        }

        lock (_unsaved)
            return Math.Min(region.Layout.Length, count + ((long)_unsaved.Count * region.Layout.ChunkSize));
    }

    /// <summary>Saves what was written in chunks from <paramref name="first"/> on, before <paramref name="end"/>.</summary>
    /// <exception cref="BackendException">Something could not be saved. It stays to be saved, and so does what comes after it.</exception>
    public async Task SaveAsync(long first, long end, CancellationToken cancellationToken)
    {
        if (region.Backend.IsReadOnly || first >= end)
            return;
        await _turn.WaitAsync(cancellationToken);
        Exception? failure = null;
        try
        {
            foreach (long index in UnsavedIn(first, end))
                failure ??= await SaveRunAsync(index, 1, cancellationToken);
            if (failure is null)
                failure = await SaveWrittenAsync(first, end, cancellationToken);
        }
        finally
        {
            _turn.Release();
        }

        if (failure is BackendException refused)
            throw new BackendException(refused.Error, $"Saving what was written in memory failed; it stays to be saved: {refused.Message}", refused, refused.IsTransient);
        if (failure is not null)
            ExceptionDispatchInfo.Throw(failure);
    }

    private async Task<Exception?> SaveWrittenAsync(long first, long end, CancellationToken cancellationToken)
    {
        long stop = region.Layout.OffsetOf(first) + region.PagesOf(first, end - first);
        for (long at = region.Layout.OffsetOf(first); at < stop;)
        {
            int found = region.Memory.ListWritten(at, stop - at, _listed, out at);
            for (int i = 0; i < found; i++)
            {
                // Spans that share a chunk are saved with it; the second finds nothing left.
                long last = region.Layout.IndexOf(_listed[i].Offset + _listed[i].Length - 1);
                for (long index = region.Layout.IndexOf(_listed[i].Offset); index <= last; index += region.BatchChunks)
                {
                    if (await SaveRunAsync(index, Math.Min(region.BatchChunks, last + 1 - index), cancellationToken) is { } failure)
                        return failure;
                }
            }
        }

        return null;
    }

    private long[] UnsavedIn(long first, long end)
    {
        lock (_unsaved)
            return [.. _unsaved.Where(index => index >= first && index < end).Order()];
    }

    /// <summary>Saves a run of chunks, those of it that are in memory, at most a batch.</summary>
    private async Task<Exception?> SaveRunAsync(long first, long count, CancellationToken cancellationToken)
    {
        Exception? failure = null;
        for (long index = first; index < first + count && failure is null;)
        {
            if (!region.TryHold(index, 0))
            {
                // Somebody who drops it saved it before, and who brings it brings what is saved: but it may come back as it was. Who brings a chunk
                // of which nothing is here may be waiting for room, which is this very save.
                var state = region.Table.StateOf(index);
                if (state == ChunkState.Evicting || (state == ChunkState.Filling && IsWritten(index)))
                    await WaitAsync(index, state, cancellationToken);
                else if (state == ChunkState.Filling)
                    index++;
                else if (state != ChunkState.Present)
                    index++;
                continue;
            }

            long held = 1;
            while (index + held < first + count && region.TryHold(index + held, 0))
                held++;
            failure = await SaveHeldAsync(index, held, cancellationToken);
            for (long i = index; i < index + held; i++)
                region.Release(i);
            index += held;
        }

        return failure;
    }

    [SuppressMessage("Design", "CA1031:Do not catch general exception types", Justification = "Whatever it is, what was to be saved is marked, and it is thrown by the caller.")]
    private async Task<Exception?> SaveHeldAsync(long first, long count, CancellationToken cancellationToken)
    {
        var buffer = await region.Buffers.RentAsync(cancellationToken);
        long start = region.Layout.OffsetOf(first);
        try
        {
            // Those to be saved whole come one by one.
            bool isWhole = false;
            if (count == 1)
            {
                lock (_unsaved)
                    isWhole = _unsaved.Remove(first) && region.Table.Clear(first, ChunkTable.Unsaved);
            }

            long end = start + region.PagesOf(first, count);
            for (long at = start; at < end;)
            {
                int found = region.Memory.TakeWritten(at, end - at, _taken, out at);
                for (int i = 0; i < found && !isWhole; i++)
                    Write(buffer, start, _taken[i]);
            }

            if (isWhole)
                Write(buffer, start, new PageSpan(start, end - start));

            // Who holds it goes on writing, and nobody notes that.
            if (isWhole && !region.Memory.TracksWrites && ChunkTable.HoldsOf(region.Table.Read(first)) > 1)
                MarkUnsaved(first);
            await Task.WhenAll(_writes);
            region.Counters.Saved(_written);
            return null;
        }
        catch (Exception error)
        {
            await Task.WhenAll(_writes).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);

            // Which of them failed is not told apart: saving what was saved does no harm.
            for (long index = first; index < first + count; index++)
                MarkUnsaved(index);
            return error;
        }
        finally
        {
            _writes.Clear();
            _written = 0;
            region.Buffers.Return(buffer);
        }
    }

    private unsafe void Write(FillBuffer buffer, long start, PageSpan span)
    {
        long at = span.Offset - start;
        region.Memory.CopyOut(span.Offset, buffer.Start + at, span.Length);
        long length = Math.Min(span.Length, region.Layout.Length - span.Offset);

        // Not cancelled by the caller: a cancelled write may come late, over one that was made since.
        var write = region.Backend.WriteAsync(span.Offset, buffer.Memory.Slice((int)at, (int)length), region.Stopping.Token);
        _written += length;
        if (write.IsCompletedSuccessfully)
            write.GetAwaiter().GetResult();
        else
            _writes.Add(write.AsTask());
    }

    /// <summary>Bytes of a span that can be saved: the page map lists poison as written too.</summary>
    private long Present(PageSpan span)
    {
        long length = 0;
        long end = span.Offset + span.Length;
        for (long at = span.Offset; at < end;)
        {
            long index = region.Layout.IndexOf(at);
            long next = Math.Min(end, region.Layout.OffsetOf(index) + region.Layout.ChunkSize);
            if (region.Table.StateOf(index) is not (ChunkState.Poisoned or ChunkState.Gone))
                length += next - at;
            at = next;
        }

        return length;
    }

    private bool IsWritten(long index)
    {
        Span<PageSpan> span = stackalloc PageSpan[1];
        return region.Memory.ListWritten(region.Layout.OffsetOf(index), region.PagesOf(index, 1), span, out _) > 0;
    }

    private async Task WaitAsync(long index, ChunkState state, CancellationToken cancellationToken)
    {
        try
        {
            await region.Waiters.WaitAsync(index, state, cancellationToken);
        }
        catch (BackendException)
        {
            // It could not be brought, so there is nothing to be saved.
        }
    }
}
