using Farspan.Migration;

namespace Farspan.Wire.Client;

/// <summary>The first page of the last list that came with a reply, so that it costs no round trip of its own. A list never changes. Thread-safe.</summary>
internal sealed class KeptPage
{
    private volatile Entry? _entry;

    /// <summary>Keeps the first page of the list of a request, in place of the one before.</summary>
    public void Keep(SeederRequest request, ChangedPage page) => _entry = new Entry(request with { Generation = 0 }, page);

    /// <summary>The page from a chunk on, where it is part of what is kept.</summary>
    public ChangedPage? TryGet(SeederRequest request, long firstChunk, int limit)
    {
        if (_entry is not { } kept || request with { Generation = 0 } != kept.Request || (kept.Page.NextChunk >= 0 && firstChunk >= kept.Page.NextChunk))
            return null;
        var runs = new List<ChangedRun>();
        foreach (var run in kept.Page.Runs)
        {
            long first = Math.Max(run.FirstChunk, firstChunk);
            long end = run.FirstChunk + run.Count;
            if (end <= first)
                continue;
            if (runs.Count == limit)
                return new ChangedPage(runs, first);
            runs.Add(new ChangedRun(first, end - first));
        }

        return new ChangedPage(runs, kept.Page.NextChunk);
    }

    private sealed record Entry(SeederRequest Request, ChangedPage Page);
}
