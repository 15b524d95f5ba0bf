namespace Farspan.Chunks;

/// <summary>
/// What a mount knows of each chunk: missing, here in part, whole or zero, and what of it is dirty. Bits for the bulk, a
/// <see cref="ChunkDetail"/> only for a chunk that is dirty or here in part.
/// </summary>
/// <remarks>Not thread-safe: the mount's gate guards all members. What a range of bytes is changes only under a hold on its chunks.</remarks>
internal sealed partial class ChunkMap
{
    private const int MostSpare = 4096;

    /// <summary>Where the ranges of a whole chunk are more, those nearest to each other are joined.</summary>
    private const int MostRanges = 16;

    private readonly ChunkBitmap _whole;
    private readonly ChunkBitmap _zero;
    private readonly Dictionary<long, ChunkDetail> _details = [];
    private readonly Stack<ChunkDetail> _spare = new();

    public ChunkMap(ChunkLayout layout)
    {
        Layout = layout;
        _whole = new ChunkBitmap(layout.ChunkCount);
        _zero = new ChunkBitmap(layout.ChunkCount);
        Zeroes = new ZeroLedger(_zero);
    }

    public ChunkLayout Layout { get; }

    /// <summary>What the remote has yet to learn of chunks that are zero.</summary>
    public ZeroLedger Zeroes { get; }

    /// <summary>Chunks of which all bytes are in the cache.</summary>
    public long WholeCount { get; private set; }

    /// <summary>Chunks that are zero and in no cache.</summary>
    public long ZeroCount { get; private set; }

    /// <summary>Chunks of which some bytes are in the cache.</summary>
    public long PartialCount { get; private set; }

    /// <summary>Bytes that are dirty, sent or not flushed; those that are more than one of it may count twice.</summary>
    public long DirtyBytes { get; private set; }

    /// <summary>Chunks with dirty bytes not on their way, by the first write among them.</summary>
    public LinkedList<ChunkDetail> ByAge { get; } = new();

    /// <summary>The same chunks, by their last write.</summary>
    public LinkedList<ChunkDetail> ByWrite { get; } = new();

    /// <summary>Chunks with bytes that no flush of the remote has covered, by their last push.</summary>
    public LinkedList<ChunkDetail> ByPush { get; } = new();

    /// <summary>The number of chunks with a detail.</summary>
    public int DetailCount => _details.Count;

    public ChunkDetail? Find(long chunkIndex) => _details.GetValueOrDefault(chunkIndex);

    public bool IsWhole(long chunkIndex) => _whole[chunkIndex];

    public bool IsZero(long chunkIndex) => _zero[chunkIndex];

    public bool IsMissing(long chunkIndex) => !_whole[chunkIndex] && !_zero[chunkIndex];

    /// <summary>The first whole chunk at or after <paramref name="chunkIndex"/>, or -1.</summary>
    public long NextWhole(long chunkIndex) => _whole.NextSet(chunkIndex);

    /// <summary>The first chunk at or after <paramref name="chunkIndex"/> that is neither whole nor zero, or the chunk count.</summary>
    public long NextMissing(long chunkIndex)
    {
        while (true)
        {
            long next = _whole.NextClear(chunkIndex);
            chunkIndex = _zero.NextClear(next);
            if (chunkIndex == next)
                return next;
        }
    }

    /// <summary>Where the bytes from <paramref name="offset"/> on are, and how many of the next <paramref name="length"/> are there, too.</summary>
    public ChunkPresence Look(long offset, long length, out long run)
    {
        long end = offset + length;
        long position = offset;
        var presence = LookInside(ref position, end);
        while (position < end)
        {
            long next = position;
            if (LookInside(ref next, end) != presence)
                break;
            position = next;
        }

        run = position - offset;
        return presence;
    }

    /// <summary>How many bytes from <paramref name="offset"/> on are in whole chunks.</summary>
    public long WholeRun(long offset, long length)
    {
        long end = _whole.NextClear(Layout.IndexOf(offset));
        return Math.Clamp(Layout.OffsetOf(end) - offset, 0, length);
    }

    /// <summary>Whether the bytes at <paramref name="offset"/> are dirty, and how many of the next <paramref name="length"/> are alike.</summary>
    public bool LookDirty(long offset, long length, out long run)
    {
        long index = Layout.IndexOf(offset);
        int start = (int)(offset - Layout.OffsetOf(index));
        int end = (int)Math.Min(Layout.ChunkSize, start + length);
        run = end - start;
        if (_zero[index])
            return Zeroes.IsUnknown(index);
        if (!_details.TryGetValue(index, out var detail))
            return false;
        var dirty = new RangeSet();
        dirty.Add(detail.Dirty);
        dirty.Add(detail.Sending);
        dirty.Add(detail.Unflushed);
        run = dirty.RunLength(start, end, out bool isDirty);
        return isDirty;
    }

    /// <summary>The detail of a chunk, made where there is none.</summary>
    public ChunkDetail Take(long chunkIndex)
    {
        if (_details.TryGetValue(chunkIndex, out var detail))
            return detail;
        if (!_spare.TryPop(out detail))
            detail = new ChunkDetail();
        detail.Reset(chunkIndex);
        _details.Add(chunkIndex, detail);
        if (!_whole[chunkIndex])
            PartialCount++;
        return detail;
    }

    /// <summary>Bytes of a chunk, that is not zero, are in the cache and dirty.</summary>
    /// <returns>Whether the chunk became whole by that.</returns>
    public bool SetDirty(long chunkIndex, int start, int end, long write, long now)
    {
        var detail = Take(chunkIndex);
        if (detail.Dirty.IsEmpty)
        {
            detail.DirtyFrom = write;
            detail.DirtySince = now;
            ByAge.AddLast(detail.ByAge);
        }
        else
        {
            ByWrite.Remove(detail.ByWrite);
        }

        ByWrite.AddLast(detail.ByWrite);
        detail.LastWrite = now;
        detail.DirtyUpTo = write;
        detail.IsRewritten |= !detail.Sending.IsEmpty || !detail.Unflushed.IsEmpty;
        detail.Dirty.Add(start, end);
        bool becameWhole = false;
        if (!_whole[chunkIndex])
        {
            detail.Here.Add(start, end);
            becameWhole = detail.Here.Covers(0, Layout.LengthOf(chunkIndex));
            if (becameWhole)
                SetWhole(chunkIndex);
        }

        while (detail.Dirty.Count > MostRanges && _whole[chunkIndex])
            detail.Dirty.JoinNearest();
        Weigh(detail);
        return becameWhole;
    }

    /// <summary>All bytes of a chunk, that is not zero, are in the cache.</summary>
    public void SetWhole(long chunkIndex)
    {
        if (_whole[chunkIndex])
            return;
        if (_details.TryGetValue(chunkIndex, out var detail))
        {
            PartialCount--;
            detail.Here.Clear();
        }

        _whole.Set(chunkIndex);
        WholeCount++;
        if (detail is not null)
            Settle(detail);
    }

    /// <summary>Chunks are zero: what was here of them, and what was dirty, no longer counts.</summary>
    /// <returns>The number of the first write that this replaces and that is not durable at the remote; <see cref="long.MaxValue"/> for none.</returns>
    public long SetZero(long firstChunk, long count)
    {
        long from = long.MaxValue;
        if (count < _details.Count)
        {
            for (long index = firstChunk; index < firstChunk + count; index++)
                Replace(index);
        }
        else if (_details.Count > 0)
        {
            foreach (long index in _details.Keys.Where(index => index >= firstChunk && index < firstChunk + count).ToArray())
                Replace(index);
        }

        WholeCount -= _whole.CountOf(firstChunk, count);
        ZeroCount += count - _zero.CountOf(firstChunk, count);
        _whole.Clear(firstChunk, count);
        _zero.Set(firstChunk, count);
        return from;

        void Replace(long index)
        {
            from = Math.Min(from, Find(index)?.From ?? long.MaxValue);
            Forget(index);
        }
    }

    /// <summary>A chunk that was zero has its bytes, all of them, in the cache from now on.</summary>
    /// <returns>
    /// Where the remote may not know yet that it was zero: the number of the write that made it so, or of one before that; otherwise null.
    /// </returns>
    public long? EndZero(long chunkIndex)
    {
        long? from = Zeroes.UnknownSince(chunkIndex);
        Zeroes.Forget(chunkIndex);
        _zero.Clear(chunkIndex);
        ZeroCount--;
        _whole.Set(chunkIndex);
        WholeCount++;
        return from;
    }

    /// <summary>A clean chunk is given up: it is missing again.</summary>
    public void SetMissing(long chunkIndex)
    {
        Forget(chunkIndex);
        if (_whole[chunkIndex])
            WholeCount--;
        _whole.Clear(chunkIndex);
    }

    /// <summary>Drops the detail of a chunk that needs none any more: whole and clean.</summary>
    public void Settle(ChunkDetail detail)
    {
        Weigh(detail);
        if (detail.IsClean && _whole[detail.Index] && Find(detail.Index) == detail)
            Forget(detail.Index);
    }

    /// <summary>Counts a detail's bytes anew.</summary>
    public void Weigh(ChunkDetail detail)
    {
        int weight = Math.Min(
            Layout.LengthOf(detail.Index), detail.Dirty.TotalLength + detail.Sending.TotalLength + detail.Unflushed.TotalLength);
        DirtyBytes += weight - detail.Weight;
        detail.Weight = weight;
    }

    private ChunkPresence LookInside(ref long position, long end)
    {
        long index = Layout.IndexOf(position);
        long start = Layout.OffsetOf(index);
        long until = Math.Min(end, start + Layout.ChunkSize);
        var presence = ChunkPresence.Missing;
        if (_whole[index])
        {
            presence = ChunkPresence.Here;
        }
        else if (_zero[index])
        {
            presence = ChunkPresence.Zero;
        }
        else if (PartialCount > 0 && _details.TryGetValue(index, out var detail))
        {
            until = position + detail.Here.RunLength((int)(position - start), (int)(until - start), out bool isHere);
            presence = isHere ? ChunkPresence.Here : ChunkPresence.Missing;
        }

        position = until;
        return presence;
    }

    private void Forget(long chunkIndex)
    {
        if (!_details.Remove(chunkIndex, out var detail))
            return;
        if (!_whole[chunkIndex])
            PartialCount--;
        DirtyBytes -= detail.Weight;
        detail.Weight = 0;
        if (!detail.Dirty.IsEmpty)
        {
            ByAge.Remove(detail.ByAge);
            ByWrite.Remove(detail.ByWrite);
        }

        if (!detail.Unflushed.IsEmpty)
            ByPush.Remove(detail.ByPush);

        // A push that is under way knows it by this object, and must find that it no longer stands for the chunk.
        if (!detail.IsSending && _spare.Count < MostSpare)
            _spare.Push(detail);
    }
}
