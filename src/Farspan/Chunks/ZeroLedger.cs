namespace Farspan.Chunks;

/// <summary>
/// Which of the chunks that are zero the remote does not know of, and in which order they became so. A trim of a terabyte is one entry in a
/// queue and a run of bits. Guarded as its <see cref="ChunkMap"/>.
/// </summary>
internal sealed class ZeroLedger(ChunkBitmap zero)
{
    private readonly ChunkBitmap _dirty = new(zero.ChunkCount);
    private readonly LinkedList<ZeroRun> _queue = new();
    private readonly List<ZeroRun> _sending = [];
    private readonly List<ZeroRun> _unflushed = [];

    // Made when first needed: most mounts know one kind only.
    private ChunkBitmap? _trimmed;
    private ChunkBitmap? _allocated;

    /// <summary>Chunks that are zero, not on their way to the remote, and not known there.</summary>
    public long DirtyCount { get; private set; }

    /// <summary>Runs in the queue and out of it: what takes memory.</summary>
    public int RunCount => _queue.Count + _sending.Count + _unflushed.Count;

    public bool HasUnflushed => _unflushed.Count > 0;

    /// <summary>The number of the first write that is in the queue or on its way; <see cref="long.MaxValue"/> for none.</summary>
    public long From
    {
        get
        {
            long from = _queue.First?.Value.From ?? long.MaxValue;
            foreach (var run in _sending)
                from = Math.Min(from, run.From);
            return from;
        }
    }

    /// <summary>
    /// Chunks, which are zero by now, became so by a write. It has the number of the first write that it replaces, where that is not durable: who
    /// waits for that one waits for this.
    /// </summary>
    public void Add(long firstChunk, long count, ZeroKind kind, long write)
    {
        DirtyCount += count - _dirty.CountOf(firstChunk, count);
        _dirty.Set(firstChunk, count);
        SetKind(ref _trimmed, kind == ZeroKind.Trim, firstChunk, count);
        SetKind(ref _allocated, kind == ZeroKind.ZeroAllocated, firstChunk, count);
        Enqueue(new ZeroRun(firstChunk, count, write, kind, PushedAt: 0));
    }

    /// <summary>Chunks that are zero and of which the remote does not know, or not durably.</summary>
    public long UnknownCount => DirtyCount + _sending.Sum(run => run.Count) + _unflushed.Sum(run => run.Count);

    /// <summary>Whether the zeroes at an offset keep their storage, and how many of the next bytes are alike.</summary>
    public bool AllocatedRun(long offset, ref long run, ChunkLayout layout)
    {
        if (_allocated is null)
            return false;
        long end = layout.IndexOf(offset + run - 1) + 1;
        bool isAllocated = IsKind(_allocated, layout.IndexOf(offset), ref end);
        run = Math.Min(run, layout.OffsetOf(end) - offset);
        return isAllocated;
    }

    /// <summary>Whether the remote may not know, or not durably, that a chunk is zero.</summary>
    public bool IsUnknown(long chunkIndex) => _dirty[chunkIndex] || Meets(_sending, chunkIndex, 1) || Meets(_unflushed, chunkIndex, 1);

    /// <summary>
    /// Where <see cref="IsUnknown"/>, the number of the write that made the chunk zero, or that of an earlier one: the queue is not searched. Otherwise
    /// null.
    /// </summary>
    public long? UnknownSince(long chunkIndex)
    {
        long? since = _dirty[chunkIndex] ? From : null;
        foreach (var run in _sending.Concat(_unflushed))
        {
            if (run.Meets(chunkIndex, 1))
                since = Math.Min(since ?? run.From, run.From);
        }

        return since;
    }

    /// <summary>A chunk is zero no longer.</summary>
    public void Forget(long chunkIndex)
    {
        if (_dirty[chunkIndex])
            DirtyCount--;
        _dirty.Clear(chunkIndex);
    }

    /// <summary>
    /// Takes a run off the queue, the earliest, of chunks of one kind, no more than <paramref name="most"/> allows of that, and before the first
    /// that <paramref name="firstBusy"/> names; false where there is none.
    /// </summary>
    /// <param name="most">The most chunks of a kind.</param>
    /// <param name="firstBusy">The first chunk of a run that may not be sent now, or beyond its end.</param>
    /// <param name="run">What was taken.</param>
    public bool TryTake(Func<ZeroKind, long> most, Func<long, long, long> firstBusy, out ZeroRun run)
    {
        while (_queue.First is { } node)
        {
            var entry = node.Value;
            long end = entry.FirstChunk + entry.Count;
            long first = _dirty.NextSet(entry.FirstChunk);
            if (first < 0 || first >= end)
            {
                _queue.RemoveFirst();
                continue;
            }

            node.Value = entry with { FirstChunk = first, Count = end - first };
            long count = SameKind(first, Math.Min(end, _dirty.NextClear(first)) - first, out var kind);
            count = firstBusy(first, Math.Min(count, most(kind))) - first;
            if (count == 0)
                break;
            run = new ZeroRun(first, count, entry.From, kind, PushedAt: 0);
            _dirty.Clear(first, count);
            DirtyCount -= count;
            _sending.Add(run);
            return true;
        }

        run = default;
        return false;
    }

    /// <summary>How many chunks from <paramref name="chunkIndex"/> to before <paramref name="end"/> are all zero and durably so at the remote, or all not.</summary>
    public long KnownRun(long chunkIndex, long end, out bool isKnown)
    {
        isKnown = zero[chunkIndex] && !IsUnknown(chunkIndex);
        if (!isKnown)
            return 1;
        long until = Math.Min(end, zero.NextClear(chunkIndex));
        long dirty = _dirty.NextSet(chunkIndex);
        if (dirty >= 0)
            until = Math.Min(until, dirty);
        foreach (var run in _sending.Concat(_unflushed))
        {
            if (run.FirstChunk > chunkIndex)
                until = Math.Min(until, run.FirstChunk);
        }

        return until - chunkIndex;
    }

    /// <summary>The remote knows of a run that was taken, though not durably.</summary>
    public void Sent(in ZeroRun run, long push)
    {
        _sending.Remove(run);
        _unflushed.Add(run with { PushedAt = push });
    }

    /// <summary>The remote could not be told of a run that was taken: what of it is still zero goes back to the queue.</summary>
    public void Undo(in ZeroRun run)
    {
        _sending.Remove(run);
        Requeue(run);
    }

    /// <summary>Takes out the runs that a flush has covered, as of a push.</summary>
    public List<ZeroRun> TakeFlushed(long push)
    {
        var flushed = _unflushed.FindAll(run => run.PushedAt <= push);
        _unflushed.RemoveAll(run => run.PushedAt <= push);
        return flushed;
    }

    /// <summary>A flush failed: what was told since the last one goes back to the queue.</summary>
    public void UndoUnflushed()
    {
        foreach (var run in _unflushed)
            Requeue(run);
        _unflushed.Clear();
    }

    private void Requeue(in ZeroRun run)
    {
        long end = run.FirstChunk + run.Count;
        for (long first = zero.NextSet(run.FirstChunk), next; first >= 0 && first < end; first = next < end ? zero.NextSet(next) : -1)
        {
            next = Math.Min(end, zero.NextClear(first));
            DirtyCount += next - first - _dirty.CountOf(first, next - first);
            _dirty.Set(first, next - first);
        }

        Enqueue(run);
    }

    private void Enqueue(in ZeroRun run)
    {
        var at = _queue.Last;
        while (at is not null && at.Value.From > run.From)
            at = at.Previous;
        if (at is null)
            _queue.AddFirst(run);
        else
            _queue.AddAfter(at, run);
    }

    private long SameKind(long first, long count, out ZeroKind kind)
    {
        long end = first + count;
        bool isTrimmed = IsKind(_trimmed, first, ref end);
        bool isAllocated = IsKind(_allocated, first, ref end);
        kind = isTrimmed ? ZeroKind.Trim : isAllocated ? ZeroKind.ZeroAllocated : ZeroKind.Zero;
        return end - first;
    }

    private static bool IsKind(ChunkBitmap? kind, long first, ref long end)
    {
        if (kind is null)
            return false;
        bool isSet = kind[first];
        long next = isSet ? kind.NextClear(first) : kind.NextSet(first);
        if (next >= 0)
            end = Math.Min(end, next);
        return isSet;
    }

    private void SetKind(ref ChunkBitmap? kind, bool isSet, long firstChunk, long count)
    {
        if (isSet)
            (kind ??= new ChunkBitmap(zero.ChunkCount)).Set(firstChunk, count);
        else
            kind?.Clear(firstChunk, count);
    }

    private static bool Meets(List<ZeroRun> runs, long firstChunk, long count)
    {
        foreach (var run in runs)
        {
            if (run.Meets(firstChunk, count))
                return true;
        }

        return false;
    }
}
