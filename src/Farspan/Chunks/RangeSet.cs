using System.Runtime.InteropServices;

namespace Farspan.Chunks;

/// <summary>Ranges of bytes inside a chunk, by rising start, not touching. Not thread-safe. Changing it allocates only where it grows.</summary>
internal sealed class RangeSet
{
    private readonly List<(int Start, int End)> _ranges = [];

    /// <summary>Whether nothing is in it.</summary>
    public bool IsEmpty => _ranges.Count == 0;

    /// <summary>The number of ranges.</summary>
    public int Count => _ranges.Count;

    /// <summary>The ranges, until the next change.</summary>
    public ReadOnlySpan<(int Start, int End)> Ranges => CollectionsMarshal.AsSpan(_ranges);

    /// <summary>Bytes in all ranges together.</summary>
    public int TotalLength
    {
        get
        {
            int total = 0;
            foreach (var (start, end) in Ranges)
                total += end - start;
            return total;
        }
    }

    /// <summary>Takes out everything.</summary>
    public void Clear() => _ranges.Clear();

    /// <summary>Adds the bytes from <paramref name="start"/> to before <paramref name="end"/>.</summary>
    public void Add(int start, int end)
    {
        if (start >= end)
            return;
        int first = FirstEndingAt(start);
        int last = first;
        for (; last < _ranges.Count && _ranges[last].Start <= end; last++)
        {
            start = Math.Min(start, _ranges[last].Start);
            end = Math.Max(end, _ranges[last].End);
        }

        Replace(first, last, [(start, end)]);
    }

    /// <summary>Adds all that is in <paramref name="other"/>.</summary>
    public void Add(RangeSet other)
    {
        foreach (var (start, end) in other.Ranges)
            Add(start, end);
    }

    /// <summary>Takes out the bytes from <paramref name="start"/> to before <paramref name="end"/>.</summary>
    public void Remove(int start, int end)
    {
        if (start >= end)
            return;
        int first = FirstEndingAt(start + 1);
        int last = first;
        Span<(int, int)> kept = stackalloc (int, int)[2];
        int keptCount = 0;
        for (; last < _ranges.Count && _ranges[last].Start < end; last++)
        {
            if (_ranges[last].Start < start)
                kept[keptCount++] = (_ranges[last].Start, start);
            if (_ranges[last].End > end)
                kept[keptCount++] = (end, _ranges[last].End);
        }

        Replace(first, last, kept[..keptCount]);
    }

    /// <summary>Takes out all that is in <paramref name="other"/>.</summary>
    public void Remove(RangeSet other)
    {
        foreach (var (start, end) in other.Ranges)
            Remove(start, end);
    }

    /// <summary>Whether all bytes from <paramref name="start"/> to before <paramref name="end"/> are in it.</summary>
    public bool Covers(int start, int end)
    {
        int at = FirstEndingAt(start + 1);
        return at < _ranges.Count && _ranges[at].Start <= start && _ranges[at].End >= end;
    }

    /// <summary>How many bytes from <paramref name="start"/> on, up to <paramref name="end"/>, are all in it or all not.</summary>
    public int RunLength(int start, int end, out bool isIn)
    {
        int at = FirstEndingAt(start + 1);
        isIn = at < _ranges.Count && _ranges[at].Start <= start;
        int until = at == _ranges.Count ? end : isIn ? _ranges[at].End : _ranges[at].Start;
        return Math.Min(until, end) - start;
    }

    /// <summary>What of the bytes from <paramref name="start"/> to before <paramref name="end"/> is in it.</summary>
    public RangeSet Intersect(int start, int end)
    {
        var common = new RangeSet();
        for (int i = FirstEndingAt(start + 1); start < end && i < _ranges.Count && _ranges[i].Start < end; i++)
            common._ranges.Add((Math.Max(start, _ranges[i].Start), Math.Min(end, _ranges[i].End)));
        return common;
    }

    /// <summary>What of the bytes from <paramref name="start"/> to before <paramref name="end"/> is not in it.</summary>
    public RangeSet Gaps(int start, int end)
    {
        var gaps = new RangeSet();
        for (int i = FirstEndingAt(start + 1); i < _ranges.Count && _ranges[i].Start < end; i++)
        {
            if (_ranges[i].Start > start)
                gaps._ranges.Add((start, _ranges[i].Start));
            start = _ranges[i].End;
        }

        if (start < end)
            gaps._ranges.Add((start, end));
        return gaps;
    }

    /// <summary>Joins the two neighbours with the least between them, the bytes between included. At least two ranges are in it.</summary>
    public void JoinNearest()
    {
        int nearest = 1;
        for (int i = 2; i < _ranges.Count; i++)
        {
            if (_ranges[i].Start - _ranges[i - 1].End < _ranges[nearest].Start - _ranges[nearest - 1].End)
                nearest = i;
        }

        _ranges[nearest - 1] = (_ranges[nearest - 1].Start, _ranges[nearest].End);
        _ranges.RemoveAt(nearest);
    }

    /// <summary>The index of the first range whose end is at or after <paramref name="position"/>.</summary>
    private int FirstEndingAt(int position)
    {
        int low = 0;
        int high = _ranges.Count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (_ranges[middle].End < position)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }

    private void Replace(int first, int last, ReadOnlySpan<(int Start, int End)> ranges)
    {
        if (last - first == 1 && ranges.Length == 1)
        {
            _ranges[first] = ranges[0];
            return;
        }

        _ranges.RemoveRange(first, last - first);
        _ranges.InsertRange(first, ranges);
    }
}
