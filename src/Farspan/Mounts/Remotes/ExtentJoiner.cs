using Farspan.Backends;

namespace Farspan.Mounts.Remotes;

/// <summary>Collects extents that follow each other, joins neighbours of one kind, and stops at a number.</summary>
internal sealed class ExtentJoiner(ICollection<Extent> extents, int limit)
{
    private Extent? _last;
    private int _added;

    /// <summary>Whether no further extent has a place.</summary>
    public bool IsFull => _added >= limit;

    public void Add(Extent extent)
    {
        if (IsFull)
            return;
        if (_last is { } last && last.Kind == extent.Kind)
        {
            _last = last with { Length = last.Length + extent.Length };
            return;
        }

        Finish();
        _last = extent;
    }

    /// <summary>No more come.</summary>
    public void Finish()
    {
        if (_last is not { } last || IsFull)
            return;
        extents.Add(last);
        _added++;
        _last = null;
    }
}
