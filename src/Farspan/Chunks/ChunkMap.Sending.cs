namespace Farspan.Chunks;

/// <content>The way of dirty bytes to the remote: dirty, sending, unflushed, clean.</content>
internal sealed partial class ChunkMap
{
    /// <summary>A push that picked the chunk takes what is dirty of it now.</summary>
    /// <returns>The number of the first write that it takes; bytes written later are dirty again.</returns>
    public long StartSending(ChunkDetail detail)
    {
        detail.Sending.Add(detail.Dirty);
        EndDirty(detail);
        Weigh(detail);
        return detail.SendingFrom = detail.DirtyFrom;
    }

    /// <summary>What the push took is at the remote, though not flushed there.</summary>
    /// <param name="detail">The chunk's detail, from when it was picked.</param>
    /// <param name="from">What <see cref="StartSending"/> returned.</param>
    /// <param name="push">The number of this push's end.</param>
    public void EndSending(ChunkDetail detail, long from, long push)
    {
        detail.IsSending = false;
        if (Find(detail.Index) != detail)
            return;
        if (!detail.Sending.IsEmpty)
        {
            if (detail.Unflushed.IsEmpty)
                detail.UnflushedFrom = from;
            else
                ByPush.Remove(detail.ByPush);
            ByPush.AddLast(detail.ByPush);
            detail.UnflushedFrom = Math.Min(detail.UnflushedFrom, from);
            detail.PushedAt = push;
            detail.Unflushed.Add(detail.Sending);
            detail.Sending.Clear();
        }

        Settle(detail);
    }

    /// <summary>The push failed: what it took is dirty again.</summary>
    public void UndoSending(ChunkDetail detail, long from)
    {
        detail.IsSending = false;
        if (Find(detail.Index) != detail)
            return;
        if (!detail.Sending.IsEmpty)
            Redirty(detail, detail.Sending, from);
        detail.Sending.Clear();
        Settle(detail);
    }

    /// <summary>A flush covered what was pushed of the chunk.</summary>
    public void EndUnflushed(ChunkDetail detail)
    {
        detail.Unflushed.Clear();
        ByPush.Remove(detail.ByPush);
        Settle(detail);
    }

    /// <summary>A flush failed: all that was pushed since the last one is dirty again.</summary>
    public void UndoUnflushed()
    {
        // From the last on: each then goes to the front of the queue, or near it.
        while (ByPush.Last is { } last)
        {
            ByPush.RemoveLast();
            Redirty(last.Value, last.Value.Unflushed, last.Value.UnflushedFrom);
            last.Value.Unflushed.Clear();
            Weigh(last.Value);
        }

        Zeroes.UndoUnflushed();
    }

    /// <summary>
    /// What was written to a dirty chunk replaces an earlier change of it that is not durable: who waits for that one waits for this.
    /// </summary>
    public void TakeOver(long chunkIndex, long from)
    {
        if (Find(chunkIndex) is { Dirty.IsEmpty: false } detail)
            Redirty(detail, new RangeSet(), from);
    }

    private void Redirty(ChunkDetail detail, RangeSet ranges, long from)
    {
        if (detail.Dirty.IsEmpty)
            ByWrite.AddLast(detail.ByWrite);
        else if (from < detail.DirtyFrom)
            ByAge.Remove(detail.ByAge);
        if (detail.Dirty.IsEmpty || from < detail.DirtyFrom)
        {
            detail.DirtyFrom = from;
            var at = ByAge.First;
            while (at is not null && at.Value.DirtyFrom < from)
                at = at.Next;
            if (at is null)
                ByAge.AddLast(detail.ByAge);
            else
                ByAge.AddBefore(at, detail.ByAge);
        }

        detail.Dirty.Add(ranges);
    }

    private void EndDirty(ChunkDetail detail)
    {
        detail.Dirty.Clear();
        ByAge.Remove(detail.ByAge);
        ByWrite.Remove(detail.ByWrite);
    }
}
