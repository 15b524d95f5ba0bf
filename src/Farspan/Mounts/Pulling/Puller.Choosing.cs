namespace Farspan.Mounts.Pulling;

/// <content>What nobody waits for: which comes next, and whether there is room for it.</content>
internal sealed partial class Puller
{
    /// <summary>Bytes of a pull that nobody waits for: at least a chunk, and no more than a part of what may be in flight.</summary>
    private const int LongestPull = 1 << 20;

    /// <summary>Longer ones take a small part of what may be in flight: what the line takes for one is in the shortest time, and so in the window, and
    /// so in front of a reader.</summary>
    private const int UsualPull = 256 << 10;

    // Guarded by the mount's gate.
    private long _aheadNext;
    private long _aheadEnd;

    private bool TryStartNext()
    {
        if (_mount.Outage.IsDown || _mount.Options.BackgroundPull == BackgroundPull.Nothing)
            return false;
        long longest = Math.Clamp(Window.Limit / 16, UsualPull, LongestPull);
        long most = Math.Max(1, Math.Min(longest, Window.Limit / 4) / _mount.Layout.ChunkSize);
        long bytes = most * _mount.Layout.ChunkSize;
        if (!Window.HasRoom(bytes) || !Budget.TryTake(bytes))
            return false;
        Pull? pull;
        TimeSpan? retryIn = null;
        lock (_mount.Gate)
        {
            pull = NextAhead(most) ?? NextInBackground(most);
            if (pull is null)
                retryIn = _backlog.RetryIn;
        }

        if (pull is null)
        {
            Budget.Return(bytes);
            if (retryIn is { Ticks: > 0 } time)
                _alarm.Change(time, Timeout.InfiniteTimeSpan);
            return false;
        }

        Budget.Return(bytes - _mount.BytesOf(pull.FirstChunk, pull.Count));
        Start(pull, hasBudget: true);
        return true;
    }

    private Pull? NextAhead(long most)
    {
        while (true)
        {
            for (long index = _aheadNext < _aheadEnd ? _mount.Map.NextMissing(_aheadNext) : _aheadEnd; index < _aheadEnd; index++)
            {
                long count = 0;
                while (count < most && index + count < _aheadEnd && _mount.Map.IsMissing(index + count) && !_pulls.ContainsKey(index + count))
                    count++;
                if (count == 0)
                    continue;
                _aheadNext = index + count;
                return Add(index, count, PullKind.Ahead);
            }

            if (!_readAhead.TryNext(Math.Max(_mount.Layout.ChunkSize, LongestPull), out long offset, out long length))
                return null;
            _aheadNext = _mount.Layout.IndexOf(offset);
            _aheadEnd = _mount.Layout.IndexOf(offset + length - 1) + 1;
        }
    }

    private Pull? NextInBackground(long most)
    {
        if (_mount.Options.BackgroundPull != BackgroundPull.Everything || !_evictor.Fits(most) || (_demanded > 0 && _inBackground > 0))
            return null;

        // The answers to pushes come this way, too: behind a full line they come so late that their window does not fill the other direction.
        if (!Window.HasRoomInBackground(most * _mount.Layout.ChunkSize) || (IsPushing() && Window.InFlight > Window.Limit / 3))
            return null;
        return _backlog.TryNext(most, _pulls.ContainsKey, out long first, out long count) ? Add(first, count, PullKind.Background) : null;
    }
}
