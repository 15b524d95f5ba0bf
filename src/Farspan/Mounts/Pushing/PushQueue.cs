using Farspan.Chunks;

namespace Farspan.Mounts.Pushing;

/// <summary>Which dirty chunks go next, and which may not because they are on their way already. The mount's gate guards it.</summary>
internal sealed class PushQueue(MountCore mount)
{
    private const long LongestZero = 1L << 30;

    /// <summary>Chunks that may not go and are passed over in search of one that may.</summary>
    private const int MostLooks = 64;

    private readonly List<Push> _sending = [];

    /// <summary>Counts failed flushes.</summary>
    public long Epoch { get; set; }

    public bool IsSending => _sending.Count > 0;

    /// <summary>All writes up to this number have reached the remote, though perhaps not durably.</summary>
    public long SentUpTo
    {
        get
        {
            long from = Math.Min(mount.LastWrite + 1, mount.Map.Zeroes.From);
            if (mount.Map.ByAge.First is { } oldest)
                from = Math.Min(from, oldest.Value.DirtyFrom);
            foreach (var push in _sending)
                from = Math.Min(from, push.From);
            return from - 1;
        }
    }

    public void Ended(Push push) => _sending.Remove(push);

    /// <summary>Picks the next push of at most <paramref name="most"/> chunks, or null where nothing may go now.</summary>
    /// <param name="target">Everything dirty up to this write must go, the oldest first.</param>
    /// <param name="isUrgent">Everything else may go, too, least recently written first.</param>
    /// <param name="isSettled">Whether a chunk may go although nothing urges: it is not being changed all the time.</param>
    /// <param name="most">The most chunks.</param>
    public Push? Pick(long target, bool isUrgent, Func<ChunkDetail, bool>? isSettled, long most)
    {
        if (target <= 0 && !isUrgent && isSettled is null)
            return null;
        long mostZeroes = Math.Max(1, LongestZero / mount.Layout.ChunkSize);
        if (mount.Map.Zeroes.TryTake(kind => mount.Remote.AreSent(kind) ? most : mostZeroes, FirstBusy, out var run))
            return Add(new Push(run, mount.Remote.AreSent(run.Kind) ? mount.BytesOf(run.FirstChunk, run.Count) : 0, Epoch));
        for (var node = mount.Map.ByAge.First; node is not null && node.Value.DirtyFrom <= target; node = node.Next)
        {
            if (CanSend(node.Value))
                return Extend(node.Value, _ => true, most);
        }

        int looked = 0;
        for (var node = mount.Map.ByWrite.First; node is not null && (isUrgent || isSettled is not null); node = node.Next)
        {
            if (CanSend(node.Value) && (isUrgent || isSettled!(node.Value)))
                return Extend(node.Value, isUrgent ? _ => true : isSettled!, most);

            // From here on all were written later, and most may go even less; the oldest of those that never rest are found by age.
            if (!isUrgent && !node.Value.IsSending && !isSettled!(node.Value) && ++looked == MostLooks)
                break;
        }

        for (var node = mount.Map.ByAge.First; node is not null && isSettled is not null && isSettled(node.Value); node = node.Next)
        {
            if (CanSend(node.Value))
                return Extend(node.Value, isSettled, most);
        }

        return null;
    }

    private Push Extend(ChunkDetail start, Func<ChunkDetail, bool> mayGo, long most)
    {
        var chunks = new List<ChunkDetail> { start };
        while (chunks.Count < most && Next(chunks[0].Index - 1) is { } before)
            chunks.Insert(0, before);
        while (chunks.Count < most && Next(chunks[^1].Index + 1) is { } after)
            chunks.Add(after);
        foreach (var chunk in chunks)
            chunk.IsSending = true;
        return Add(new Push(chunks, Epoch));

        ChunkDetail? Next(long index) => mount.Map.Find(index) is { } chunk && CanSend(chunk) && mayGo(chunk) ? chunk : null;
    }

    private Push Add(Push push)
    {
        _sending.Add(push);
        return push;
    }

    private bool CanSend(ChunkDetail chunk)
        => !chunk.Dirty.IsEmpty && !chunk.IsSending && !IsBusy(chunk.Index);

    /// <summary>Whether an earlier push of the chunk's place is on its way: of zeroes, or of bytes before it was made zero.</summary>
    private bool IsBusy(long index)
    {
        foreach (var push in _sending)
        {
            if (push.FirstChunk <= index && index <= push.LastChunk)
                return true;
        }

        return false;
    }

    private long FirstBusy(long firstChunk, long count)
    {
        long busy = firstChunk + count;
        foreach (var push in _sending)
        {
            if (push.FirstChunk < busy && push.LastChunk >= firstChunk)
                busy = Math.Max(firstChunk, Math.Min(busy, push.FirstChunk));
        }

        return busy;
    }
}
