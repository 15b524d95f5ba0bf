using Farspan.Chunks;

namespace Farspan.Mounts;

/// <summary>The order in which a managed mount pulls what nobody has asked for. Whatever an order leaves out follows from the first byte to the last.</summary>
public sealed class PullOrder
{
    /// <summary>Runs of chunks that are ordered together; beyond so many, the next batch begins.</summary>
    private const int MostRuns = 1 << 20;

    private const int ChunksBackwards = 16;

    private readonly Func<ChunkLayout, IEnumerable<(long FirstChunk, long Count)>> _runs;

    private PullOrder(Func<ChunkLayout, IEnumerable<(long, long)>> runs) => _runs = runs;

    /// <summary>From the first byte to the last.</summary>
    public static PullOrder Linear { get; } = new(layout => [(0, layout.ChunkCount)]);

    /// <summary>From the last byte to the first, some chunks at a time.</summary>
    public static PullOrder Reverse { get; } = new(Backwards);

    /// <summary>These ranges first, in this order: what a program is known to need, or a recorded trace. Ranges outside the region are left out.</summary>
    public static PullOrder Ranges(IReadOnlyList<(long Offset, long Length)> ranges) => Ranges(ranges, Linear);

    /// <summary>These ranges first, in this order, and then <paramref name="rest"/>. Ranges outside the region are left out.</summary>
    public static PullOrder Ranges(IReadOnlyList<(long Offset, long Length)> ranges, PullOrder rest)
    {
        ArgumentNullException.ThrowIfNull(ranges);
        ArgumentNullException.ThrowIfNull(rest);
        return new PullOrder(layout => InOrder(layout, ranges).Concat(rest.Runs(layout)));
    }

    /// <summary>
    /// Chunks of a higher priority first, those of the same in rising order. The function is asked once for each chunk (by its number), before
    /// the pulls begin; where priorities change more than a million times along the region, they count among a million changes at a time.
    /// </summary>
    public static PullOrder ByPriority(Func<long, long> priority)
    {
        ArgumentNullException.ThrowIfNull(priority);
        return new PullOrder(layout => Sorted(layout, priority));
    }

    /// <summary>Every chunk at least once.</summary>
    internal IEnumerable<(long FirstChunk, long Count)> Runs(ChunkLayout layout) => _runs(layout);

    private static IEnumerable<(long FirstChunk, long Count)> InOrder(ChunkLayout layout, IReadOnlyList<(long Offset, long Length)> ranges)
    {
        foreach (var (offset, length) in ranges)
        {
            if (length < 1 || offset < 0 || offset >= layout.Length)
                continue;
            long first = layout.IndexOf(offset);
            yield return (first, layout.IndexOf(offset + Math.Min(length, layout.Length - offset) - 1) - first + 1);
        }
    }

    private static IEnumerable<(long FirstChunk, long Count)> Backwards(ChunkLayout layout)
    {
        for (long end = layout.ChunkCount; end > 0; end -= Math.Min(end, ChunksBackwards))
            yield return (end - Math.Min(end, ChunksBackwards), Math.Min(end, ChunksBackwards));
    }

    private static IEnumerable<(long FirstChunk, long Count)> Sorted(ChunkLayout layout, Func<long, long> priority)
    {
        long first = 0;
        long value = layout.ChunkCount == 0 ? 0 : priority(0);
        while (first < layout.ChunkCount)
        {
            var runs = new List<(long FirstChunk, long Count, long Priority)>();
            while (first < layout.ChunkCount && runs.Count < MostRuns)
            {
                long end = first + 1;
                long next = value;
                while (end < layout.ChunkCount && (next = priority(end)) == value)
                    end++;
                runs.Add((first, end - first, value));
                first = end;
                value = next;
            }

            foreach (var run in runs.OrderByDescending(run => run.Priority))
                yield return (run.FirstChunk, run.Count);
        }
    }
}
