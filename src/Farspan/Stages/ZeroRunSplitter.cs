namespace Farspan.Stages;

/// <summary>Cuts a buffer into runs of zeroes, from one multiple of the granule to another, and what lies between them.</summary>
/// <param name="offset">Where the buffer is written: multiples are counted from the start of the backend.</param>
/// <param name="buffer">The buffer.</param>
/// <param name="granule">Bytes; a power of two.</param>
/// <param name="minimumRun">Bytes; a shorter run of zeroes is none.</param>
internal struct ZeroRunSplitter(long offset, ReadOnlyMemory<byte> buffer, int granule, int minimumRun)
{
    private int _position;
    private int _zeroStart = -1;
    private int _zeroEnd;

    /// <summary>Cuts off the next run; false at the end.</summary>
    public bool TryTake(out ZeroRun run)
    {
        run = default;
        if (_position == buffer.Length)
            return false;
        if (_zeroStart < _position)
            FindZeroes();
        run = _zeroStart == _position
            ? new ZeroRun(_position, _zeroEnd - _position, IsZero: true)
            : new ZeroRun(_position, _zeroStart - _position, IsZero: false);
        _position += run.Length;
        return true;
    }

    /// <summary>Finds the next run of zeroes that is long enough; an empty one at the end where there is none.</summary>
    private void FindZeroes()
    {
        var span = buffer.Span;
        _zeroStart = _zeroEnd = span.Length;
        for (long start = AlignUp(_position); start < span.Length;)
        {
            int zeroes = span[(int)start..].IndexOfAnyExcept((byte)0);
            long other = zeroes < 0 ? span.Length : start + zeroes;
            long end = ((offset + other) & -(long)granule) - offset;
            if (end > start && end - start >= minimumRun)
            {
                _zeroStart = (int)start;
                _zeroEnd = (int)end;
                return;
            }

            start = AlignUp(other + 1);
        }
    }

    /// <summary>Not by adding the granule first, which at the far end of the longest backend would overflow.</summary>
    private readonly long AlignUp(long position) => position + (-(offset + position) & (granule - 1));
}
