using System.Diagnostics.CodeAnalysis;
using Farspan.Chunks;
using Farspan.Mounts.Caching.Journal;

namespace Farspan.Mounts.Caching;

/// <summary>
/// What the records of a journal add up to: which chunks are here, clean or dirty. Read back and live it changes by the same
/// <see cref="Apply"/>. Not thread-safe.
/// </summary>
/// <remarks>
/// A chunk is absent, zero, partial (dirty in some ranges, the rest not here), whole and dirty (in some ranges, or throughout), or clean with its
/// checksum, proven or not. Four bits a chunk, four bytes for a clean one, and ranges for those that are dirty in part.
/// </remarks>
internal sealed class ChunkNotes(ChunkLayout layout)
{
    private readonly ChunkBitmap _whole = new(layout.ChunkCount);
    private readonly ChunkBitmap _dirty = new(layout.ChunkCount);
    private readonly ChunkBitmap _unproven = new(layout.ChunkCount);

    // Also of a chunk that was written throughout since, until the bytes are durable: after a loss of power it is zero again.
    private readonly ChunkBitmap _zero = new(layout.ChunkCount);
    private readonly ChecksumPages _checksums = new(layout.ChunkCount);

    // A partial chunk always has an entry, a whole and dirty one where it is not dirty throughout.
    private readonly Dictionary<long, RangeSet> _ranges = [];

    // Ranges of partial chunks whose bytes may not be durable: noted since the running checkpoint began, and before.
    private Dictionary<long, RangeSet> _young = [];
    private Dictionary<long, RangeSet> _settling = [];

    /// <summary>How the region divides into chunks.</summary>
    public ChunkLayout Layout { get; } = layout;

    /// <summary>Whether no chunk is here.</summary>
    public bool IsEmpty => _whole.IsEmpty && _dirty.IsEmpty && _zero.IsEmpty;

    /// <summary>Whether ranges of partial chunks wait for a checkpoint.</summary>
    public bool HasUnsettled => _young.Count != 0 || _settling.Count != 0;

    /// <summary>Whether bytes of the chunk are here.</summary>
    public bool IsHere(long chunkIndex) => _whole[chunkIndex] || _dirty[chunkIndex];

    /// <summary>Whether the chunk reads as zero.</summary>
    public bool IsZero(long chunkIndex) => _zero[chunkIndex] && !_dirty[chunkIndex];

    /// <summary>Whether anything is noted of any of the chunks.</summary>
    public bool IsAnyKnown(long firstChunk, long count)
        => _whole.Any(firstChunk, count) || _dirty.Any(firstChunk, count) || _zero.Any(firstChunk, count);

    /// <summary>The next chunk from an index on of which anything is noted; the number of chunks where there is none.</summary>
    public long NextKnown(long chunkIndex)
    {
        long next = Layout.ChunkCount;
        foreach (var bits in (ReadOnlySpan<ChunkBitmap>)[_whole, _dirty, _zero])
        {
            if (bits.NextSet(chunkIndex) is >= 0 and long found && found < next)
                next = found;
        }

        return next;
    }

    /// <summary>Whether the chunk is all here, and that needs no proof.</summary>
    public bool IsWhole(long chunkIndex) => _whole[chunkIndex] && !_unproven[chunkIndex];

    /// <summary>Whether all bytes of the range are noted as dirty.</summary>
    public bool IsDirty(long chunkIndex, int start, int end)
        => _dirty[chunkIndex] && (!_ranges.TryGetValue(chunkIndex, out var ranges) || ranges.Covers(start, end));

    /// <summary>Does what a record says.</summary>
    /// <param name="record">The record.</param>
    /// <param name="areBytesTrusted">Whether dirty ranges of partial chunks count: not where their bytes may never have become durable.</param>
    public void Apply(in JournalRecord record, bool areBytesTrusted)
    {
        switch (record.Kind)
        {
            case RecordKind.Dirty:
                for (int i = 0; i < record.Count; i++)
                    SetDirty(record.Index, record.Range(i), areBytesTrusted);
                break;
            case RecordKind.Whole:
                for (long i = record.Index; i < record.Index + record.Count; i++)
                    SetWhole(i);
                break;
            case RecordKind.Clean or RecordKind.Unproven:
                for (int i = 0; i < record.Count; i++)
                    SetClean(record.Index + i, record.Checksum(i), record.Kind == RecordKind.Unproven);
                break;
            case RecordKind.Discard:
                Forget(record.Index, record.Count);
                break;
            case RecordKind.Zero:
                Forget(record.Index, record.Count);
                _zero.Set(record.Index, record.Count);
                break;
            case RecordKind.ForgetClean:
                for (long i = _whole.NextSet(record.Index); i >= 0 && i < record.Index + record.Count; i = _whole.NextSet(i + 1))
                    ForgetClean(i);
                break;
        }
    }

    /// <summary>After a loss of power: clean chunks need proof, and a whole chunk with a dirty part may be dirty throughout.</summary>
    /// <remarks>The write that made a further part dirty may be on the disk while the record of it is not.</remarks>
    public void Distrust()
    {
        for (long i = _whole.NextSet(0); i >= 0; i = _whole.NextSet(i + 1))
        {
            if (_dirty[i])
                _ranges.Remove(i);
            else
                _unproven.Set(i);
        }
    }

    /// <summary>A checkpoint begins: what was noted so far is about to become durable.</summary>
    public void BeginCheckpoint()
    {
        foreach (var (index, ranges) in _young)
        {
            if (!_settling.TryAdd(index, ranges))
                _settling[index].Add(ranges);
        }

        _young = [];
    }

    /// <summary>The checkpoint is in the journal. Chunks that were written throughout are whole now.</summary>
    public void EndCheckpoint()
    {
        foreach (long index in _settling.Keys)
        {
            if (!_young.ContainsKey(index) && _ranges.TryGetValue(index, out var ranges) && ranges.Covers(0, Layout.LengthOf(index)))
            {
                _whole.Set(index);
                _zero.Clear(index);
                _ranges.Remove(index);
            }
        }

        _settling = [];
    }

    /// <summary>The ranges of a chunk that is dirty in part; null for one that is dirty throughout, clean or absent.</summary>
    public RangeSet? RangesOf(long chunkIndex) => _ranges.GetValueOrDefault(chunkIndex);

    /// <summary>Ranges of a partial chunk whose bytes may not be durable.</summary>
    public bool TryGetUnsettled(long chunkIndex, [NotNullWhen(true)] out RangeSet? ranges) => _young.TryGetValue(chunkIndex, out ranges);

    /// <summary>Chunks with ranges whose bytes may not be durable, by rising index.</summary>
    public IEnumerable<long> UnsettledChunks() => _young.Keys.Order();

    /// <summary>Runs of chunks that read as zero once what is unsettled of them is lost, by rising index, not touching.</summary>
    public IEnumerable<(long FirstChunk, int Count)> ZeroRuns()
    {
        long end;
        for (long first = _zero.NextSet(0); first >= 0; first = _zero.NextSet(end))
        {
            for (end = first + 1; end < Layout.ChunkCount && _zero[end]; end++)
            {
            }

            yield return (first, (int)(end - first));
        }
    }

    /// <summary>Goes through the chunks of which bytes are here, as long as nothing changes.</summary>
    public ChunkCursor HereChunks() => new(_whole, _dirty);

    /// <summary>What is noted of a chunk that is known.</summary>
    public NotedChunk Get(long chunkIndex)
    {
        if (!_dirty[chunkIndex])
            return new NotedChunk(_unproven[chunkIndex] ? NotedState.Unproven : NotedState.Clean, _checksums[chunkIndex]);
        if (!_whole[chunkIndex])
            return new NotedChunk(NotedState.Partial, Checksum: 0);
        return new NotedChunk(_ranges.ContainsKey(chunkIndex) ? NotedState.WholeDirtyInPart : NotedState.WholeDirty, Checksum: 0);
    }

    private void SetDirty(long index, (int Start, int End) range, bool areBytesTrusted)
    {
        if (IsWhole(index))
        {
            if (_dirty[index] && !_ranges.ContainsKey(index))
                return;
            _dirty.Set(index);
            var dirty = RangesToChange(index);
            dirty.Add(range.Start, range.End);
            if (dirty.Covers(0, Layout.LengthOf(index)))
                _ranges.Remove(index);
            return;
        }

        if (!areBytesTrusted)
            return;

        // What was never proven does not count as being here.
        _whole.Clear(index);
        _unproven.Clear(index);
        _dirty.Set(index);
        var here = RangesToChange(index);
        var added = new RangeSet();
        added.Add(range.Start, range.End);
        added.Remove(here);
        here.Add(range.Start, range.End);
        if (!_young.TryAdd(index, added))
            _young[index].Add(added);
    }

    private RangeSet RangesToChange(long index)
    {
        if (!_ranges.TryGetValue(index, out var ranges))
            _ranges[index] = ranges = new RangeSet();
        return ranges;
    }

    private void SetWhole(long index)
    {
        _whole.Set(index);
        _zero.Clear(index);
        _unproven.Clear(index);
        _dirty.Set(index);
        if (_ranges.TryGetValue(index, out var ranges) && ranges.Covers(0, Layout.LengthOf(index)))
            _ranges.Remove(index);
        Settle(index);
    }

    private void SetClean(long index, uint checksum, bool isUnproven)
    {
        Forget(index, 1);
        _whole.Set(index);
        _checksums[index] = checksum;
        if (isUnproven)
            _unproven.Set(index);
    }

    private void ForgetClean(long index)
    {
        if (!_dirty[index])
            Forget(index, 1);
        else if (_ranges.ContainsKey(index))
            _whole.Clear(index);
    }

    private void Forget(long first, long count)
    {
        _whole.Clear(first, count);
        _dirty.Clear(first, count);
        _unproven.Clear(first, count);
        _zero.Clear(first, count);
        ChunkKeys.Remove(_ranges, first, count);
        ChunkKeys.Remove(_young, first, count);
        ChunkKeys.Remove(_settling, first, count);
    }

    private void Settle(long index)
    {
        _young.Remove(index);
        _settling.Remove(index);
    }
}
