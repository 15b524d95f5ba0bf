using Farspan.Backends;

namespace Farspan.TestKit.Contracts;

/// <summary>Lists extents and checks, on the way, all that <see cref="IExtentSource"/> promises of their shape.</summary>
public static class ExtentList
{
    /// <summary>All extents of a range, asked for <paramref name="limit"/> at a time; not joined across calls.</summary>
    public static async ValueTask<List<Extent>> AllAsync(
        IExtentSource source, long offset, long length, int limit, CancellationToken cancellationToken = default)
    {
        var all = new List<Extent>();
        long end = offset + length;
        while (offset < end)
        {
            var some = new List<Extent>();
            await source.ListExtentsAsync(offset, end - offset, limit, some, cancellationToken);
            Check(some, offset, end, limit);
            all.AddRange(some);
            offset = some[^1].Offset + some[^1].Length;
        }

        return all;
    }

    private static void Check(List<Extent> extents, long offset, long end, int limit)
    {
        string list = string.Join(", ", extents);
        if (extents.Count < 1 || extents.Count > limit)
            throw new InvalidOperationException($"{extents.Count} extents where 1 to {limit} were to come: {list}");
        ExtentKind? last = null;
        foreach (var extent in extents)
        {
            if (extent.Offset != offset || extent.Length < 1 || extent.Length > end - offset)
                throw new InvalidOperationException($"{extent} does not follow on {offset} or ends after {end}: {list}");
            if (extent.Kind == last)
                throw new InvalidOperationException($"{extent} is not joined with its equal neighbour: {list}");
            last = extent.Kind;
            offset += extent.Length;
        }
    }
}
