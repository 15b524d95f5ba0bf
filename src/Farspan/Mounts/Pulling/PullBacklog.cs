using Farspan.Chunks;

namespace Farspan.Mounts.Pulling;

/// <summary>What is left to pull in the background: the pull order, and what failed and waits for its next turn. The mount's gate guards it.</summary>
internal sealed class PullBacklog(ChunkMap map, PullOrder order, TimeProvider clock)
{
    private static readonly TimeSpan FirstDelay = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestDelay = TimeSpan.FromMinutes(1);

    private readonly IEnumerator<(long FirstChunk, long Count)> _runs = order.Runs(map.Layout).GetEnumerator();
    private readonly List<(long FirstChunk, long Count)> _failed = [];
    private long _next;
    private long _end;
    private bool _isOver;
    private TimeSpan _delay = FirstDelay;
    private long _failedAt;

    /// <summary>The time until what failed has its next turn, or null where nothing waits.</summary>
    public TimeSpan? RetryIn => _failed.Count == 0 ? null : _delay - clock.GetElapsedTime(_failedAt) is { Ticks: > 0 } left ? left : TimeSpan.Zero;

    /// <summary>The next run of at most <paramref name="most"/> missing chunks that are not on their way; false where there is none.</summary>
    public bool TryNext(long most, Func<long, bool> isPulling, out long firstChunk, out long count)
    {
        while (true)
        {
            firstChunk = _next < _end ? map.NextMissing(_next) : _end;
            if (firstChunk < _end)
            {
                count = 0;
                while (count < most && firstChunk + count < _end && map.IsMissing(firstChunk + count) && !isPulling(firstChunk + count))
                    count++;
                _next = firstChunk + Math.Max(1, count);
                if (count > 0)
                    return true;
                continue;
            }

            if (RetryIn is { Ticks: 0 })
            {
                (_next, long failed) = _failed[^1];
                _end = _next + failed;
                _failed.RemoveAt(_failed.Count - 1);
            }
            else if (!_isOver && _runs.MoveNext())
            {
                _next = _runs.Current.FirstChunk;
                _end = _next + _runs.Current.Count;
            }
            else
            {
                _isOver = true;
                count = 0;
                return false;
            }
        }
    }

    /// <summary>A pull from here failed: it has another turn, after what is left, later each time.</summary>
    public void Failed(long firstChunk, long count, bool isTransient)
    {
        if (_failed.Count == 0)
            _failedAt = clock.GetTimestamp();
        _failed.Add((firstChunk, count));
        _delay = isTransient ? TimeSpan.Zero : _delay * 2 < LongestDelay ? (_delay < FirstDelay ? FirstDelay : _delay * 2) : LongestDelay;
    }
}
