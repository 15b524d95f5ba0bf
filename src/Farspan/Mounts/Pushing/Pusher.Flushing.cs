using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Waiting;

namespace Farspan.Mounts.Pushing;

/// <content>Flushes: those that wait for one, the call to the remote, and what becomes clean by it.</content>
internal sealed partial class Pusher
{
    /// <summary>Returns when every write that completed before is durable at the remote. Flushes that come together share the work.</summary>
    /// <exception cref="BackendException">It cannot be, now; what is dirty stays so.</exception>
    public ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        if (_mount.IsFenced)
            return ValueTask.FromException(MountCore.Fenced());
        return Join() is { } waiter ? WaitAsync(waiter, cancellationToken) : default;
    }

    /// <summary>The same, for the close: no outage ends it, only the token does.</summary>
    public async Task DrainAsync(CancellationToken cancellationToken)
    {
        if (_mount.IsFenced)
            throw MountCore.Fenced();
        if (Join() is not { } waiter)
            return;
        try
        {
            await waiter.Done.WaitAsync(cancellationToken);
        }
        finally
        {
            Leave(waiter);
        }
    }

    /// <summary>The lease is lost: nothing is pushed any more.</summary>
    public void Fence()
    {
        lock (_mount.Gate)
            _mount.IsFenced = true;
        FailAll(MountCore.Fenced(), long.MinValue);
        _wake.Set();
    }

    private FlushWaiter? Join()
    {
        FlushWaiter waiter;
        lock (_mount.Gate)
        {
            if (!HasUnflushed && _queue.SentUpTo == _mount.LastWrite)
                _durableUpTo = _mount.LastWrite;
            if (_durableUpTo >= _mount.LastWrite && !_isFirstFlushDue)
                return null;
            waiter = new FlushWaiter(_mount.LastWrite, new Signal());
            _waiters.Add(waiter);
        }

        _wake.Set();
        return waiter;
    }

    private async ValueTask WaitAsync(FlushWaiter waiter, CancellationToken cancellationToken)
    {
        try
        {
            await _mount.Outage.WaitAsync(waiter.Done, cancellationToken);
        }
        finally
        {
            Leave(waiter);
        }
    }

    private void Leave(FlushWaiter waiter)
    {
        lock (_mount.Gate)
            _waiters.Remove(waiter);
    }

    /// <summary>
    /// Whether somebody waits for a flush, and for nothing before it: pulls for the first, callers for one that covers all they wrote. Asked before
    /// pushes start, too: one that fails at once puts off whatever comes after it.
    /// </summary>
    private bool IsAwaited(long upTo) => _isFirstFlushDue || _waiters.Exists(waiter => waiter.Target <= upTo);

    /// <summary>Whether what was sent is so much, or all there is, that a flush should cover it.</summary>
    private bool IsWorthwhile
    {
        get
        {
            bool isAllSent = !_queue.IsSending;
            return (_isSweeping && isAllSent)
                || (IsUrgent && (isAllSent || _mount.Map.ByPush.Count * (long)_mount.Layout.ChunkSize >= _mount.Options.SoftLimit / 2));
        }
    }

    private void StartFlush(Func<Pusher, long, bool> isWanted)
    {
        long upTo;
        long push;
        List<FlushWaiter>? done = null;
        bool isStarting;
        lock (_mount.Gate)
        {
            upTo = _queue.SentUpTo;
            push = _pushes;
            if (!HasUnflushed)
                done = SetDurable(upTo);
            isStarting = HasUnflushed && !_isFlushing && MayCall && isWanted(this, upTo);
            _isFlushing |= isStarting;
        }

        SetAll(done);
        if (isStarting)
            _mount.Tasks.Run(static work => work.Pusher.FlushRemoteAsync(work.UpTo, work.Push), (Pusher: this, UpTo: upTo, Push: push));
    }

    private void EndSweep()
    {
        lock (_mount.Gate)
        {
            // What may go has gone: the sweep is over. What is left was written a moment ago.
            if (!_queue.IsSending && MayCall)
                _isSweeping = false;
            if (!_isFlushing && _queue.SentUpTo == _mount.LastWrite && !HasUnflushed)
                _isUrged = false;
        }
    }

    private async Task FlushRemoteAsync(long upTo, long push)
    {
        try
        {
            await _mount.Remote.FlushAsync();
        }
        catch (BackendException error)
        {
            lock (_mount.Gate)
            {
                _isFlushing = false;
                _queue.Epoch++;
                _answered = 0;
                _mount.Map.UndoUnflushed();
            }

            if (!error.IsTransient)
                _mount.Ready.Set();
            Fail(error, long.MinValue);
            _wake.Set();
            return;
        }

        _mount.Ready.Set();
        var clean = new List<(long Index, bool IsWhole)>();
        List<ZeroRun> zeroes;
        List<FlushWaiter>? done;
        lock (_mount.Gate)
        {
            while (_mount.Map.ByPush.First is { } first && first.Value.PushedAt <= push)
            {
                _mount.Map.EndUnflushed(first.Value);
                if (first.Value.IsClean)
                    clean.Add((first.Value.Index, _mount.Map.IsWhole(first.Value.Index)));
            }

            zeroes = _mount.Map.Zeroes.TakeFlushed(push);
            _isFlushing = false;
            _isFirstFlushDue = false;
            _answered = _mostAnswered = 0;
            done = SetDurable(upTo);
        }

        Advanced?.Invoke();
        Recover();
        SetAll(done);
        MakeRoom(failure: null);
        _wake.Set();
        await CleanAsync(clean, zeroes);
    }

    private async Task CleanAsync(List<(long Index, bool IsWhole)> clean, List<ZeroRun> zeroes)
    {
        try
        {
            foreach (var (index, isWhole) in clean)
            {
                if (!isWhole)
                    await GiveUpPart(index);
                else
                    await _mount.NoteCleanAsync(index);
            }

            foreach (var run in zeroes)
            {
                if (_mount.Cache.IsDurable)
                    await ForgetZeroesAsync(run);
            }
        }
        catch (BackendException error)
        {
            _mount.Report(error);
        }
    }

    /// <summary>The remote knows, durably, that chunks are zero: the cache need not.</summary>
    private async Task ForgetZeroesAsync(ZeroRun run)
    {
        var hold = await _mount.Locks.AcquireAsync(run.FirstChunk, run.FirstChunk + run.Count - 1, exclusive: true, CancellationToken.None);
        try
        {
            for (long first = run.FirstChunk, end = first + run.Count, count; first < end; first += count)
            {
                bool isKnown;
                lock (_mount.Gate)
                    count = _mount.Map.Zeroes.KnownRun(first, end, out isKnown);
                if (isKnown)
                    await _mount.Cache.DiscardAsync(first, count, CancellationToken.None);
            }
        }
        finally
        {
            _mount.Locks.Release(hold);
        }
    }

    private List<FlushWaiter>? SetDurable(long upTo)
    {
        _durableUpTo = Math.Max(_durableUpTo, upTo);
        return _waiters.Exists(waiter => waiter.Target <= _durableUpTo) ? _waiters.FindAll(waiter => waiter.Target <= _durableUpTo) : null;
    }

    private static void SetAll(List<FlushWaiter>? waiters)
    {
        foreach (var waiter in waiters ?? [])
            waiter.Done.Set();
    }

    private void Recover()
    {
        lock (_mount.Gate)
        {
            _delay = FirstDelay;
            _notBefore = 0;
            _failingSince = null;
        }
    }

    /// <summary>A push or a flush failed: the next comes later. Where waiting does not help, those who wait for these writes are told.</summary>
    private void Fail(BackendException error, long from)
    {
        if (error.Error == BackendError.ShuttingDown && _mount.Closed.IsCancellationRequested)
            return;
        _mount.Report(error);
        if (error.Error == BackendError.Fenced)
        {
            Fence();
            return;
        }

        bool isHopeless;
        lock (_mount.Gate)
        {
            long now = _mount.Clock.GetTimestamp();
            _failingSince ??= now;
            _notBefore = After(_delay);
            _delay = _delay * 2 < LongestDelay ? _delay * 2 : LongestDelay;
            isHopeless = !error.IsTransient || _mount.Clock.GetElapsedTime(_failingSince.Value, now) > _mount.Options.OutageTimeout;
        }

        if (isHopeless)
            FailAll(error, from);
    }

    private void FailAll(BackendException error, long from)
    {
        List<FlushWaiter> failed;
        lock (_mount.Gate)
            failed = _waiters.FindAll(waiter => waiter.Target >= from);
        foreach (var waiter in failed)
            waiter.Done.Fail(new BackendException(error.Error, error.Message, error, error.IsTransient));
        MakeRoom(error);
    }

    private void MakeRoom(BackendException? failure)
    {
        Signal room;
        lock (_mount.Gate)
        {
            room = _room;
            _room = new Signal();
        }

        if (failure is null)
            room.Set();
        else
            room.Fail(new BackendException(failure.Error, $"What was written before cannot be pushed: {failure.Message}", failure, failure.IsTransient));
    }
}
