namespace Farspan.Chunks;

/// <summary>What is known of one chunk that is dirty or here in part. The gate of its <see cref="ChunkMap"/> guards all members. Reused.</summary>
internal sealed class ChunkDetail
{
    public ChunkDetail()
    {
        ByAge = new LinkedListNode<ChunkDetail>(this);
        ByWrite = new LinkedListNode<ChunkDetail>(this);
        ByPush = new LinkedListNode<ChunkDetail>(this);
    }

    public long Index { get; set; }

    /// <summary>Of a chunk that is not whole: what is in the cache, byte by byte.</summary>
    public RangeSet Here { get; } = new();

    /// <summary>Written and not on its way.</summary>
    public RangeSet Dirty { get; } = new();

    /// <summary>What the push under way took; bytes written since are dirty again.</summary>
    public RangeSet Sending { get; } = new();

    /// <summary>At the remote, and not yet covered by a flush there.</summary>
    public RangeSet Unflushed { get; } = new();

    /// <summary>Whether a push is under way, from the time that it was picked.</summary>
    public bool IsSending { get; set; }

    /// <summary>Whether it was written after a push had taken it, and has not been clean since.</summary>
    public bool IsRewritten { get; set; }

    /// <summary>The number of the first write that is in <see cref="Dirty"/>.</summary>
    public long DirtyFrom { get; set; }

    /// <summary>The number of the last write.</summary>
    public long DirtyUpTo { get; set; }

    /// <summary>The number of the first write that is in <see cref="Sending"/>.</summary>
    public long SendingFrom { get; set; }

    /// <summary>The number of the first write that is in <see cref="Unflushed"/>.</summary>
    public long UnflushedFrom { get; set; }

    /// <summary>The number of the last push that put something into <see cref="Unflushed"/>.</summary>
    public long PushedAt { get; set; }

    /// <summary>When the first write of <see cref="Dirty"/> came, and the last; timestamps of the mount's clock.</summary>
    public long DirtySince { get; set; }

    public long LastWrite { get; set; }

    /// <summary>What it counts in the map's <see cref="ChunkMap.DirtyBytes"/>.</summary>
    public int Weight { get; set; }

    public LinkedListNode<ChunkDetail> ByAge { get; }

    public LinkedListNode<ChunkDetail> ByWrite { get; }

    public LinkedListNode<ChunkDetail> ByPush { get; }

    /// <summary>The number of the first write that is not durable at the remote; <see cref="long.MaxValue"/> for none.</summary>
    public long From => Math.Min(
        Dirty.IsEmpty ? long.MaxValue : DirtyFrom, Math.Min(Sending.IsEmpty ? long.MaxValue : SendingFrom, Unflushed.IsEmpty ? long.MaxValue : UnflushedFrom));

    /// <summary>Whether all that is here is at the remote, durable.</summary>
    public bool IsClean => Dirty.IsEmpty && Sending.IsEmpty && Unflushed.IsEmpty && !IsSending;

    public void Reset(long index)
    {
        Index = index;
        Here.Clear();
        Dirty.Clear();
        Sending.Clear();
        Unflushed.Clear();
        IsSending = false;
        IsRewritten = false;
        DirtyUpTo = 0;
        Weight = 0;
    }
}
