using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Mounts.Remotes;
using Farspan.Waiting;

namespace Farspan.Mounts.Pulling;

/// <summary>
/// Decides what comes from the remote, and when: what a reader waits for at once, then what lies ahead of readers, then everything in the pull
/// order. Each chunk is on its way once at a time, whoever waits for it. Errors never end it; closing the mount does.
/// </summary>
internal sealed partial class Puller
{
    private readonly MountCore _mount;
    private readonly Evictor _evictor;
    private readonly PullBacklog _backlog;
    private readonly ReadAhead _readAhead;
    private readonly PullWork _work;
    private readonly WakeUp _wake = new();
    private readonly ITimer _alarm;

    // Guarded by the mount's gate.
    private readonly Dictionary<long, Pull> _pulls = [];
    private int _demanded;
    private int _inBackground;

    public Puller(MountCore mount, Evictor evictor)
    {
        _mount = mount;
        _evictor = evictor;
        long share = mount.Options.Budget * 5 / 8;
        Budget = new ByteBudget(share, share * 3 / 4);
        Window = new TransferWindow(
            mount.Clock, mount.Layout.ChunkSize, Math.Max(1 << 20, mount.Layout.ChunkSize), Math.Max(share * 3 / 4, mount.Layout.ChunkSize), mount.Options.PullWorkers);
        _backlog = new PullBacklog(mount.Map, mount.Options.PullOrder, mount.Clock);
        _readAhead = new ReadAhead(mount.Layout.Length, share / 2);
        _work = new PullWork(mount, evictor, Window, Budget);
        _alarm = mount.Clock.CreateTimer(static state => ((WakeUp)state!).Set(), _wake, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public TransferWindow Window { get; }

    public ByteBudget Budget { get; }

    /// <summary>Is told when the last pull that a reader waits for has ended.</summary>
    public Action? DemandEnded { get; set; }

    /// <summary>Whether pushes are on their way.</summary>
    public Func<bool> IsPushing { get; set; } = static () => false;

    /// <summary>Whether a reader waits for a pull.</summary>
    public bool IsDemanded => Volatile.Read(ref _demanded) > 0;

    /// <summary>Whether a chunk is on its way. Under the mount's gate.</summary>
    public bool IsPulling(long chunkIndex) => _pulls.ContainsKey(chunkIndex);

    /// <summary>Looks for something to pull.</summary>
    public void Wake() => _wake.Set();

    /// <summary>The loop of the pulls that nobody waits for; ends when the mount closes.</summary>
    public async Task RunAsync()
    {
        await Task.Yield();

        // What started before would all go out at that moment, whatever the window is. The close sets it, too.
        await _mount.Ready.WaitAsync(CancellationToken.None);
        using var wakeAtEnd = _mount.Closing.Token.UnsafeRegister(static state => ((WakeUp)state!).Set(), _wake);
        for (int started = 1; !_mount.Closing.IsCancellationRequested;)
        {
            while (!_mount.Closing.IsCancellationRequested && TryStartNext())
            {
                // A remote that answers at once would otherwise keep this thread, and in turn every caller, for itself.
                if (started++ % 16 == 0)
                    await Task.Yield();
            }

            await _wake.WaitAsync();
        }

        await _alarm.DisposeAsync();
    }

    /// <summary>A read is made: pulls what lies ahead of it, if its reader goes on as before.</summary>
    public void Observe(long offset, int length)
    {
        if (_mount.Options.BackgroundPull != BackgroundPull.Nothing && _readAhead.Observe(offset, length))
            _wake.Set();
    }

    /// <summary>Starts the pulls of all chunks that a read needs, and waits for the first of them.</summary>
    /// <exception cref="BackendException">It failed, or the remote does not answer.</exception>
    public async Task DemandAsync(long offset, long length, CancellationToken cancellationToken)
    {
        long firstChunk = _mount.Layout.IndexOf(offset);
        if (Demand(offset, length) is not { } pull)
            return;
        try
        {
            await _mount.Outage.WaitAsync(pull.Done, cancellationToken);
        }
        finally
        {
            Leave(pull);
        }

        BackendException? failure = null;
        lock (_mount.Gate)
        {
            if (_mount.Map.IsMissing(firstChunk))
                failure = pull.FailureOf(firstChunk);
        }

        // A pull that nobody waited for when it failed is tried again, with somebody who does.
        bool mayTryAgain = failure is { IsTransient: true } && _mount.Outage.MayWait && !pull.IsGivenUp && !_mount.Closing.IsCancellationRequested;
        if (failure is not null && !mayTryAgain)
            throw new BackendException(failure.Error, failure.Message, failure, failure.IsTransient);
    }

    private Pull? Demand(long offset, long length)
    {
        List<Pull>? started = null;
        Pull? first = null;
        lock (_mount.Gate)
        {
            long end = _mount.Layout.IndexOf(offset + length - 1) + 1;
            long most = Math.Max(1, _mount.Remote.MaximumRequest / _mount.Layout.ChunkSize);
            for (long index = _mount.Layout.IndexOf(offset); index < end;)
            {
                if (!_mount.Map.IsMissing(index))
                {
                    index++;
                }
                else if (_pulls.TryGetValue(index, out var running))
                {
                    first ??= running;
                    index = running.LastChunk + 1;
                }
                else if (_mount.Outage.IsDown && !_mount.Outage.MayWait)
                {
                    throw _mount.Outage.Expired();
                }
                else
                {
                    long count = 1;
                    while (count < most && index + count < end && _mount.Map.IsMissing(index + count) && !_pulls.ContainsKey(index + count))
                        count++;
                    var pull = Add(index, count, PullKind.Demand);
                    (started ??= []).Add(pull);
                    first ??= pull;
                    index += count;
                }
            }

            if (first is not null)
                first.Waiters++;
        }

        foreach (var pull in started ?? [])
            Start(pull, hasBudget: false);
        return first;
    }

    private void Leave(Pull pull)
    {
        CancellationTokenSource? patience = null;
        lock (_mount.Gate)
        {
            if (--pull.Waiters == 0)
                patience = pull.Patience;
        }

        patience?.Cancel();
    }

    private Pull Add(long firstChunk, long count, PullKind kind)
    {
        var pull = new Pull(firstChunk, count, kind);
        for (long index = firstChunk; index < firstChunk + count; index++)
            _pulls.Add(index, pull);
        if (kind == PullKind.Demand)
            _demanded++;
        else if (kind == PullKind.Background)
            _inBackground++;
        return pull;
    }

    private void Start(Pull pull, bool hasBudget)
        => _mount.Tasks.Run(static work => work.Puller.RunAsync(work.Pull, work.HasBudget), (Puller: this, Pull: pull, HasBudget: hasBudget));

    private async Task RunAsync(Pull pull, bool hasBudget)
    {
        try
        {
            await _work.RunAsync(pull, hasBudget);
        }
        catch (BackendException error)
        {
            // The cache's failure: what the remote does wrong is noted in the pull.
            pull.Failure = error;
            _mount.Report(error);
        }
        finally
        {
            await EndAsync(pull);
        }
    }

    private async Task EndAsync(Pull pull)
    {
        List<long>? leftovers = null;
        bool wasLast = false;
        lock (_mount.Gate)
        {
            for (long index = pull.FirstChunk; index <= pull.LastChunk; index++)
            {
                _pulls.Remove(index);
                if (_mount.Map.IsMissing(index) && _mount.Map.Find(index) is { IsClean: true })
                    (leftovers ??= []).Add(index);
            }

            if (pull.Kind == PullKind.Demand)
                wasLast = --_demanded == 0;
            else if (pull.Kind == PullKind.Background)
                _inBackground--;
            if (pull.Kind == PullKind.Background && pull.HasFailed)
                _backlog.Failed(pull.FirstChunk, pull.Count, pull.Failure is { IsTransient: true });
        }

        pull.Done.Set();
        _wake.Set();
        if (wasLast)
            DemandEnded?.Invoke();

        // Parts of chunks that were pushed while the rest was to come, which it did not.
        foreach (long index in leftovers ?? [])
            await GiveUpPartAsync(index);
    }

    /// <summary>Gives up a part of a chunk that is clean and to which nothing comes any more.</summary>
    public async Task GiveUpPartAsync(long chunkIndex)
    {
        var hold = await _mount.Locks.AcquireAsync(chunkIndex, chunkIndex, exclusive: true, CancellationToken.None);
        try
        {
            bool mayGo;
            lock (_mount.Gate)
                mayGo = _mount.Map.IsMissing(chunkIndex) && _mount.Map.Find(chunkIndex) is { IsClean: true } && !IsPulling(chunkIndex);
            if (mayGo)
                await _mount.DiscardAsync(chunkIndex);
        }
        catch (BackendException error)
        {
            _mount.Report(error);
        }
        finally
        {
            _mount.Locks.Release(hold);
        }
    }
}
