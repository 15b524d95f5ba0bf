using System.Buffers;
using Farspan.Backends;
using Farspan.Mounts.Caching.Journal;

namespace Farspan.Mounts.Caching;

internal sealed partial class DirectoryChunkCache
{
    // Chunks whose space is given back once the journal durably says that they are forgotten.
    private readonly HashSet<long> _givenUp = [];

    // Chunks whose space is being given back.
    private HashSet<long> _trimming = [];
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
            return intended.Intersect(start, end);
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

            _attention = _intents.Count != 0 || _givenUp.Count != 0 || _trimming.Count != 0;
        }
    }

    private (int Start, int End) Inside(long index, long offset, int length)
    {
        long start = _layout.OffsetOf(index);
        return ((int)Math.Max(0, offset - start), (int)Math.Min(_layout.LengthOf(index), offset + length - start));
    }

    private void GiveUpLater(long index)
    {
        if (_trim is null)
            return;
        _givenUp.Add(index);
        _attention = true;
    }

    private bool HasGivenUp()
    {
        lock (_gate)
            return _givenUp.Count != 0;
    }

    /// <summary>Chunks are written again: their space is not given back, and if that is under way, it is waited for.</summary>
    private async ValueTask KeepSpaceAsync(long first, long last)
    {
        while (true)
        {
            Task trimmed;
            lock (_gate)
            {
                bool isTrimming = false;
                for (long index = first; index <= last; index++)
                {
                    _givenUp.Remove(index);
                    isTrimming |= _trimming.Contains(index);
                }

                if (!isTrimming)
                    return;
                trimmed = _trimmed!.Task;
            }

            await trimmed;
        }
    }

    /// <summary>Gives back the space of <paramref name="chunks"/>, of which the journal durably says that they are forgotten.</summary>
    private async ValueTask TrimAsync(List<long> chunks)
    {
        lock (_gate)
        {
            chunks.RemoveAll(index => !_givenUp.Remove(index));
            if (chunks.Count == 0)
                return;
            _trimming = [.. chunks];
            _trimmed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        }

        try
        {
            chunks.Sort();
            for (int first = 0, next; first < chunks.Count; first = next)
            {
                for (next = first + 1; next < chunks.Count && chunks[next] == chunks[next - 1] + 1; next++)
                {
                }

                long start = _layout.OffsetOf(chunks[first]);
                await _trim!.TrimAsync(start, _layout.OffsetOf(chunks[next - 1]) + _layout.LengthOf(chunks[next - 1]) - start);
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
                _trimming = [];
                trimmed = _trimmed;
                _attention = _intents.Count != 0 || _givenUp.Count != 0;
            }

            trimmed.SetResult();
        }
    }
}
