using System.Buffers;
using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Mounts.Caching.Journal;

namespace Farspan.Mounts.Caching;

internal sealed partial class DirectoryChunkCache
{
    // Chunks whose space is given back once the journal durably says that they are forgotten.
    // Chunk numbers fit: there are at most MaximumChunks.
    private readonly RangeSet _givenUp = new();

    // Chunks whose space is being given back.
    private RangeSet _trimming = new();
    private TaskCompletionSource? _trimmed;

    // Whether a write has to look at intents and chunks given up at all.
    private volatile bool _attention;

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        BackendRange.Check(Length, offset, buffer.Length);
        ThrowIfFaulted();
        CountBytes(buffer.Length);
        return _attention && !buffer.IsEmpty ? WriteAttentivelyAsync(offset, buffer, cancellationToken) : _data.WriteAsync(offset, buffer, cancellationToken);
    }

    private async ValueTask WriteAttentivelyAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        long first = _layout.IndexOf(offset);
        long last = _layout.IndexOf(offset + buffer.Length - 1);
        await KeepSpaceAsync(first, last);
        try
        {
            await _data.WriteAsync(offset, buffer, cancellationToken);
        }
        catch (BackendException full) when (full.Error == BackendError.NoSpace && HasGivenUp())
        {
            await CheckpointAsync();
            await _data.WriteAsync(offset, buffer, cancellationToken);
        }

        var records = new ArrayBufferWriter<byte>();
        for (long index = first; index <= last; index++)
        {
            if (WrittenIntents(index, offset, buffer.Length) is not { } written)
                continue;
            for (int range = 0; range < written.Ranges.Length; range += SnapshotRecords.MostRanges)
            {
                SnapshotRecords.WriteDirty(records, index, written, range);
                if (records.WrittenCount >= SnapshotRecords.EnoughBytes / 2)
                    await AddAsync(records);
            }
        }

        if (records.WrittenCount != 0)
            await AddAsync(records);
        EndIntents(first, last, offset, buffer.Length);
    }

    private async ValueTask AddAsync(ArrayBufferWriter<byte> records)
    {
        await _turns.AddAsync(records.WrittenSpan);
        records.ResetWrittenCount();
    }

    /// <summary>What of a write was intended for a chunk that is not whole.</summary>
    private RangeSet? WrittenIntents(long index, long offset, int length)
    {
        lock (_gate)
        {
            if (!_intents.TryGetValue(index, out var intended))
                return null;
            var (start, end) = Inside(index, offset, length);
            var written = intended.Intersect(start, end);
            if (!_notes.IsZero(index))
                return written;

            // A part of it would end the zeroes of the rest.
            var rest = new RangeSet();
            rest.Add(intended);
            rest.Remove(written);
            written.Add(0, _layout.LengthOf(index));
            return rest.IsEmpty ? written : null;
        }
    }

    /// <summary>The intents are in the journal as dirty ranges.</summary>
    private void EndIntents(long first, long last, long offset, int length)
    {
        lock (_gate)
        {
            for (long index = first; index <= last; index++)
            {
                if (!_intents.TryGetValue(index, out var intended))
                    continue;
                var (start, end) = Inside(index, offset, length);
                intended.Remove(start, end);
                if (intended.IsEmpty)
                    _intents.Remove(index);
            }

            _attention = _intents.Count != 0 || !_givenUp.IsEmpty || !_trimming.IsEmpty;
        }
    }

    private (int Start, int End) Inside(long index, long offset, int length)
    {
        long start = _layout.OffsetOf(index);
        return ((int)Math.Max(0, offset - start), (int)Math.Min(_layout.LengthOf(index), offset + length - start));
    }

    private void GiveUpLater(long firstChunk, long count)
    {
        if (_trim is null)
            return;
        _givenUp.Add((int)firstChunk, (int)(firstChunk + count));
        _attention = true;
    }

    private bool HasGivenUp()
    {
        lock (_gate)
            return !_givenUp.IsEmpty;
    }

    /// <summary>Chunks are written again: their space is not given back, and if that is under way, it is waited for.</summary>
    private async ValueTask KeepSpaceAsync(long first, long last)
    {
        while (true)
        {
            Task trimmed;
            lock (_gate)
            {
                _givenUp.Remove((int)first, (int)last + 1);
                if (_trimming.Intersect((int)first, (int)last + 1).IsEmpty)
                    return;
                trimmed = _trimmed!.Task;
            }

            await trimmed;
        }
    }

    /// <summary>Gives back the space of <paramref name="chunks"/>, of which the journal durably says that they are forgotten.</summary>
    private async ValueTask TrimAsync(RangeSet chunks)
    {
        var trimming = new RangeSet();
        lock (_gate)
        {
            foreach (var (first, end) in chunks.Ranges)
                trimming.Add(_givenUp.Intersect(first, end));
            if (trimming.IsEmpty)
                return;
            _givenUp.Remove(trimming);
            _trimming = trimming;
            _trimmed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        try
        {
            for (int i = 0; i < trimming.Count; i++)
            {
                var (first, end) = trimming.Ranges[i];
                await _trim!.TrimAsync(_layout.OffsetOf(first), Math.Min(Length, _layout.OffsetOf(end)) - _layout.OffsetOf(first));
            }
        }
        catch (BackendException)
        {
            // The space stays taken; the chunks are no less forgotten.
        }
        finally
        {
            TaskCompletionSource trimmed;
            lock (_gate)
            {
                _trimming = new RangeSet();
                trimmed = _trimmed;
                _attention = _intents.Count != 0 || !_givenUp.IsEmpty;
            }

            trimmed.SetResult();
        }
    }
}
