namespace Farspan.Mounts.Pulling;

/// <summary>
/// Finds readers with regular steps, forwards one after the other or by a fixed stride either way, and says what they will read next. The
/// distance doubles as a reader keeps going. Thread-safe.
/// </summary>
internal sealed class ReadAhead(long length, long longest)
{
    private const int MostStreams = 16;
    private const int MostStrides = 64;
    private const long FirstDistance = 512 << 10;

    /// <summary>Readers with several requests in flight come out of order by as much.</summary>
    private const long Slack = 1 << 20;

    private readonly Lock _gate = new();
    private readonly List<ReadStream> _streams = [];
    private readonly Queue<(long Offset, long Length)> _strided = new();
    private long _reads;
    private long _lastOffset = long.MinValue;
    private long _lastDelta;
    private int _sameDeltas;

    /// <summary>A read is made.</summary>
    /// <returns>Whether there is something to pull that there was not before.</returns>
    public bool Observe(long offset, int count)
    {
        lock (_gate)
        {
            _reads++;
            var stream = Find(offset);
            if (stream is not null)
                return Advance(stream, offset + count);
            bool isStrided = ObserveStride(offset, count);
            Begin(offset + count);
            return isStrided;
        }
    }

    /// <summary>What to pull next for the readers, at most <paramref name="most"/> bytes; false where they have enough.</summary>
    public bool TryNext(long most, out long offset, out long count)
    {
        lock (_gate)
        {
            if (_strided.TryDequeue(out var strided))
            {
                (offset, count) = strided;
                return true;
            }

            foreach (var stream in _streams)
            {
                if (!stream.Wants(length))
                    continue;
                offset = stream.Ahead;
                count = Math.Min(most, Math.Min(length, stream.Next + stream.Distance) - offset);
                stream.Ahead += count;
                return true;
            }
        }

        offset = count = 0;
        return false;
    }

    private ReadStream? Find(long offset)
    {
        foreach (var stream in _streams)
        {
            if (offset == stream.Next || (stream.IsActive && offset > stream.Next - Slack && offset < stream.Next + Slack))
                return stream;
        }

        return null;
    }

    private bool Advance(ReadStream stream, long end)
    {
        stream.Used = _reads;
        stream.Next = Math.Max(stream.Next, end);
        stream.Ahead = Math.Max(stream.Ahead, stream.Next);
        if (!stream.IsActive)
        {
            stream.Distance = Math.Min(longest, FirstDistance);
            stream.GrowAt = stream.Next;
        }
        else if (stream.Next >= stream.GrowAt && stream.Distance < longest)
        {
            stream.Distance = Math.Min(longest, stream.Distance * 2);
            stream.GrowAt = stream.Next + (stream.Distance / 4);
        }

        return stream.Wants(length);
    }

    private bool ObserveStride(long offset, int count)
    {
        long delta = _lastOffset == long.MinValue ? 0 : offset - _lastOffset;
        _sameDeltas = delta != 0 && delta == _lastDelta && Math.Abs(delta) >= count ? _sameDeltas + 1 : 0;
        _lastDelta = delta;
        _lastOffset = offset;
        if (_sameDeltas < 2)
            return false;

        // Each step asks for one more, and at first for as many as steps were seen.
        int reach = Math.Min(MostStrides / 2, 1 << Math.Min(_sameDeltas, 5));
        for (int i = _sameDeltas == 2 ? 1 : Math.Max(1, reach / 2); i <= reach && _strided.Count < MostStrides; i++)
        {
            long at = offset + (delta * i);
            if (at < 0 || at >= length)
                break;
            _strided.Enqueue((at, Math.Min(count, length - at)));
        }

        return _strided.Count > 0;
    }

    private void Begin(long next)
    {
        ReadStream stream;
        if (_streams.Count < MostStreams)
        {
            stream = new ReadStream();
            _streams.Add(stream);
        }
        else
        {
            stream = _streams.MinBy(candidate => candidate.Used)!;
        }

        stream.Next = next;
        stream.Ahead = next;
        stream.Distance = 0;
        stream.Used = _reads;
    }
}
