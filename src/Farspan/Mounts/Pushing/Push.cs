using Farspan.Chunks;

namespace Farspan.Mounts.Pushing;

/// <summary>Neighbouring chunks on their way to the remote: their dirty bytes, or the news that they are zero.</summary>
internal sealed class Push
{
    /// <param name="zero">Chunks that became zero.</param>
    /// <param name="bytes">Bytes that have to be sent for it.</param>
    /// <param name="epoch">The present epoch.</param>
    public Push(ZeroRun zero, long bytes, long epoch)
    {
        Bytes = bytes;
        Zero = zero;
        From = zero.From;
        Epoch = epoch;
        FirstChunk = zero.FirstChunk;
        LastChunk = zero.FirstChunk + zero.Count - 1;
    }

    public Push(List<ChunkDetail> chunks, long epoch)
    {
        Chunks = chunks;
        Bytes = chunks.Sum(chunk => (long)chunk.Dirty.TotalLength);
        Epoch = epoch;
        From = chunks.Min(chunk => chunk.DirtyFrom);
        FirstChunk = chunks[0].Index;
        LastChunk = chunks[^1].Index;
    }

    public ZeroRun? Zero { get; }

    /// <summary>By rising index, without a gap.</summary>
    public List<ChunkDetail> Chunks { get; } = [];

    /// <summary>Of each chunk in turn, the first write that was taken, or null where there was nothing left to take.</summary>
    public List<long?> Taken { get; } = [];

    public long FirstChunk { get; }

    public long LastChunk { get; }

    /// <summary>The number of the first write that goes with it.</summary>
    public long From { get; }

    /// <summary>Counts failed flushes: what was sent in an earlier one may be lost.</summary>
    public long Epoch { get; }

    /// <summary>Bytes that go with it, as of the time that it was picked.</summary>
    public long Bytes { get; }
}
