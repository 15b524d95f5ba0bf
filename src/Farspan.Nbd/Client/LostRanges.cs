namespace Farspan.Nbd.Client;

/// <summary>Ranges whose acknowledged bytes could not be written again. Sorted, apart from each other. Not thread-safe.</summary>
internal sealed class LostRanges
{
    private readonly List<(long Start, long End)> _ranges = [];

    public bool IsEmpty => _ranges.Count == 0;

    /// <summary>The first range; only where there is one.</summary>
    public (long Start, long End) First => _ranges[0];

    public void Add(long offset, long length)
    {
        long start = offset;
        long end = offset + length;
        int index = FirstEndingAtOrAfter(start);
        int count = 0;
        for (; index + count < _ranges.Count && _ranges[index + count].Start <= end; count++)
        {
            start = Math.Min(start, _ranges[index + count].Start);
            end = Math.Max(end, _ranges[index + count].End);
        }

        _ranges.RemoveRange(index, count);
        _ranges.Insert(index, (start, end));
    }

    /// <summary>The bytes were written anew.</summary>
    public void Remove(long offset, long length)
    {
        long end = offset + length;
        int index = FirstEndingAtOrAfter(offset + 1);
        while (index < _ranges.Count && _ranges[index].Start < end)
        {
            var range = _ranges[index];
            _ranges.RemoveAt(index);
            if (range.Start < offset)
                _ranges.Insert(index++, (range.Start, offset));
            if (range.End > end)
                _ranges.Insert(index++, (end, range.End));
        }
    }

    public bool Overlaps(long offset, long length)
    {
        if (_ranges.Count == 0)
            return false;
        int index = FirstEndingAtOrAfter(offset + 1);
        return index < _ranges.Count && _ranges[index].Start < offset + length;
    }

    private int FirstEndingAtOrAfter(long position)
    {
        int low = 0;
        int high = _ranges.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_ranges[middle].End < position)
                low = middle + 1;
            else
                high = middle;
        }

        return low;
    }
}
