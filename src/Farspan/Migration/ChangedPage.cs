using Farspan.Chunks;

namespace Farspan.Migration;

/// <summary>A part of a list of changed chunks.</summary>
/// <param name="Runs">In ascending order.</param>
/// <param name="NextChunk">Where the next page begins; -1 after the last.</param>
internal sealed record ChangedPage(IReadOnlyList<ChangedRun> Runs, long NextChunk)
{
    /// <summary>The page of what either bitmap names.</summary>
    public static ChangedPage Of(ChunkBitmap changed, ChunkBitmap? more, long firstChunk, int limit)
    {
        var runs = new List<ChangedRun>();
        long at = Next(changed, more, firstChunk);
        while (at >= 0 && runs.Count < limit)
        {
            long end = at;
            while (end < changed.ChunkCount && (changed[end] || more?[end] == true))
                end = Math.Max(changed.NextClear(end), more?.NextClear(end) ?? 0);
            runs.Add(new ChangedRun(at, end - at));
            at = Next(changed, more, end);
        }

        return new ChangedPage(runs, at);
    }

    private static long Next(ChunkBitmap changed, ChunkBitmap? more, long from)
    {
        long first = changed.NextSet(from), second = more?.NextSet(from) ?? -1;
        return first < 0 || (second >= 0 && second < first) ? second : first;
    }
}
