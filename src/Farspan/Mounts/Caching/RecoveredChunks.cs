namespace Farspan.Mounts.Caching;

/// <summary>What notes say to whoever opens a cache.</summary>
internal static class RecoveredChunks
{
    /// <summary>Every chunk of which anything is noted, by rising index.</summary>
    public static IEnumerable<RecoveredChunk> List(ChunkNotes notes)
    {
        var here = notes.HereChunks();
        for (long index = here.Next(0); index >= 0; index = here.Next(index + 1))
        {
            var chunk = notes.Get(index);
            int length = notes.Layout.LengthOf(index);
            yield return chunk.State switch
            {
                NotedState.Clean => new RecoveredChunk(index, IsWhole: true, [], UnprovenChecksum: null),
                NotedState.Unproven => new RecoveredChunk(index, IsWhole: true, [], chunk.Checksum),
                NotedState.WholeDirty => new RecoveredChunk(index, IsWhole: true, [(0, length)], UnprovenChecksum: null),
                NotedState.WholeDirtyInPart => new RecoveredChunk(index, IsWhole: true, RangesOf(notes, index), UnprovenChecksum: null),
                _ => new RecoveredChunk(index, notes.IsDirty(index, 0, length), RangesOf(notes, index), UnprovenChecksum: null),
            };
        }
    }

    /// <summary>Every run of chunks that read as zero, by rising index.</summary>
    public static IEnumerable<(long FirstChunk, long Count)> ListZeroes(ChunkNotes notes)
    {
        var here = notes.HereChunks();
        foreach (var (first, count) in notes.ZeroRuns())
        {
            for (long index = first, end = first + count, next; index < end; index = next + 1)
            {
                // What was written since is in the other list.
                next = here.Next(index);
                if (next < 0 || next > end)
                    next = end;
                if (next > index)
                    yield return (index, next - index);
            }
        }
    }

    private static (int Start, int Length)[] RangesOf(ChunkNotes notes, long index)
    {
        var ranges = notes.RangesOf(index)!.Ranges;
        var list = new (int Start, int Length)[ranges.Length];
        for (int i = 0; i < list.Length; i++)
            list[i] = (ranges[i].Start, ranges[i].End - ranges[i].Start);
        return list;
    }
}
