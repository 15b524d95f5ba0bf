using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Mounts.Remotes;
using Farspan.Waiting;

namespace Farspan.Mounts.Pushing;

/// <summary>
/// Brings what is dirty to the remote: every interval, beyond the soft limit, for a flush, at the close. A chunk is clean once a flush of the
/// remote has covered its push. Errors are tried again with growing delays and never end it.
/// </summary>
internal sealed partial class Pusher
{
    private const int MostZeroRuns = 65_536;
    private static readonly TimeSpan FirstDelay = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan LongestDelay = TimeSpan.FromSeconds(5);

    private readonly MountCore _mount;
    private readonly PushQueue _queue;
    private readonly PushWork _work;
    private readonly WakeUp _wake = new();
    private readonly ITimer _alarm;
    private readonly long _detailSize;
    private readonly TimeSpan _rest;

    // Guarded by the mount's gate.
    private readonly List<FlushWaiter> _waiters = [];
    private Signal _room = new();
    private long _pushes;
    private long _durableUpTo;
    private bool _isFlushing;
    private bool _isFirstFlushDue;
    private bool _isPreparing;
    private bool _isSweeping;
    private bool _isUrged;
    private long _nextSweep;
    private long _notBefore;
    private TimeSpan _delay = FirstDelay;
    private long? _failingSince;

    // Thread-safe.
    private long _writtenSinceLook;

    public Pusher(MountCore mount)
    {
        _mount = mount;
        _queue = new PushQueue(mount);
        _isFirstFlushDue = !mount.Ready.IsSet;
        _work = new PushWork(mount);
        long share = mount.Options.Budget * 3 / 8;
        Budget = new ByteBudget(share, share);
        Window = new TransferWindow(mount.Clock, mount.Layout.ChunkSize, Math.Max(2 << 20, mount.Layout.ChunkSize), share);

        // A cache with a limit holds whole chunks, however little of them is dirty.
        _detailSize = mount.Options.CacheSizeLimit is null ? 256 : mount.Layout.ChunkSize;
        _rest = mount.Options.PushInterval / 2 < TimeSpan.FromSeconds(1) ? mount.Options.PushInterval / 2 : TimeSpan.FromSeconds(1);
        _nextSweep = After(mount.Options.PushInterval);
        _alarm = mount.Clock.CreateTimer(static state => ((WakeUp)state!).Set(), _wake, mount.Options.PushInterval, Timeout.InfiniteTimeSpan);
    }

    public TransferWindow Window { get; }

    public ByteBudget Budget { get; }

    /// <summary>Whether a reader waits for the line, so that pushes leave it room.</summary>
    public Func<bool> IsLineWanted { get; set; } = static () => false;

    /// <summary>What to do with a chunk of which a part is clean and the rest missing.</summary>
    public Func<long, Task> GiveUpPart { get; set; } = static _ => Task.CompletedTask;

    /// <summary>Is told each time that more than ever before is at the remote.</summary>
    public Action? Advanced { get; set; }

    public void Wake() => _wake.Set();

    /// <summary>Pushes all there is: somebody needs clean chunks.</summary>
    public void Urge()
    {
        lock (_mount.Gate)
            _isUrged = true;
        _wake.Set();
    }

    /// <summary>The loop that starts pushes and flushes; ends when the mount has closed.</summary>
    public async Task RunAsync()
    {
        await Task.Yield();
        using var wakeAtEnd = _mount.Closed.Token.UnsafeRegister(static state => ((WakeUp)state!).Set(), _wake);
        for (int started = 1; !_mount.Closed.IsCancellationRequested;)
        {
            BeginSweep();
            StartFlush(static (pusher, upTo) => pusher.IsAwaited(upTo));
            while (TryStartNext())
            {
                if (started++ % 16 == 0)
                    await Task.Yield();
            }

            StartFlush(static (pusher, upTo) => pusher.IsAwaited(upTo) || pusher.IsWorthwhile);
            EndSweep();
            SetAlarm();
            await _wake.WaitAsync();
        }

        await _alarm.DisposeAsync();
    }

    /// <summary>Waits while more is dirty than the hard limit allows.</summary>
    /// <exception cref="BackendException">The lease is lost; or what is dirty cannot be pushed.</exception>
    public ValueTask AdmitAsync(int length, CancellationToken cancellationToken)
    {
        if (_mount.IsFenced)
            return ValueTask.FromException(MountCore.Fenced());
        lock (_mount.Gate)
        {
            if (HasRoom(length))
                return default;
        }

        return WaitForRoomAsync(length, cancellationToken);
    }

    /// <summary>Something was written: pushes at once where that is much, and looks now and then whether there is something to begin with.</summary>
    public void Written(int length)
    {
        if (_mount.Map.DirtyBytes <= _mount.Options.SoftLimit && Interlocked.Add(ref _writtenSinceLook, length) < LongestPush)
            return;
        Interlocked.Exchange(ref _writtenSinceLook, 0);
        _wake.Set();
    }

    private long After(TimeSpan time) => _mount.Clock.GetTimestamp() + (long)(time.TotalSeconds * _mount.Clock.TimestampFrequency);

    private bool HasRoom(int length)
        => _mount.Map.DirtyBytes == 0
            ? _mount.Map.Zeroes.RunCount < MostZeroRuns
            : _mount.Map.DirtyBytes + length <= _mount.Options.HardLimit && _mount.Map.DetailCount < _mount.Options.HardLimit / _detailSize
                && _mount.Map.Zeroes.RunCount < MostZeroRuns;

    private async ValueTask WaitForRoomAsync(int length, CancellationToken cancellationToken)
    {
        while (true)
        {
            Signal room;
            lock (_mount.Gate)
            {
                if (HasRoom(length))
                    return;
                room = _room;
                _isUrged = true;
            }

            _wake.Set();
            await _mount.Outage.WaitAsync(room, cancellationToken);
            if (_mount.IsFenced)
                throw MountCore.Fenced();
        }
    }

    private void BeginSweep()
    {
        lock (_mount.Gate)
        {
            if (_isSweeping || _isPreparing || _mount.Clock.GetTimestamp() < _nextSweep)
                return;
            _nextSweep = After(_mount.Options.PushInterval);
            if (_queue.SentUpTo == _mount.LastWrite && (_pushes == 0 || !HasUnflushed))
                return;
            _isPreparing = true;
        }

        // Beside the loop: the hook may write and flush, which needs the loop.
        _mount.Tasks.Run(static pusher => pusher.PrepareSweepAsync(), this);
    }

    private async Task PrepareSweepAsync()
    {
        await RunHookAsync(_mount.Options.Hooks.BeforeSync);
        lock (_mount.Gate)
        {
            _isPreparing = false;
            _isSweeping = true;
        }

        _wake.Set();
    }

    /// <summary>Runs a hook of the mount's owner; what it throws is reported.</summary>
    public async Task RunHookAsync(Func<CancellationToken, ValueTask>? hook)
    {
        try
        {
            if (hook is not null)
                await hook(_mount.Closed.Token);
        }
        catch (Exception error)
        {
            _mount.Report(error);
        }
    }

    private bool HasUnflushed => _isFirstFlushDue || _mount.Map.ByPush.Count > 0 || _mount.Map.Zeroes.HasUnflushed;

    private bool IsUrgent => _isUrged || _mount.Map.DirtyBytes > _mount.Options.SoftLimit;

    private bool MayCall => !_mount.IsFenced && !_mount.Outage.IsDown && _mount.Clock.GetTimestamp() >= _notBefore && !_mount.Closed.IsCancellationRequested;

    private void SetAlarm()
    {
        long now = _mount.Clock.GetTimestamp();
        long next = long.MaxValue;
        if (_notBefore > now)
            next = _notBefore;

        // A sweep that is under way wakes the loop when it ends; one that ended late is followed by the next at once.
        if (!_isSweeping && !_isPreparing)
            next = Math.Min(next, Math.Max(_nextSweep, now));
        if (next != long.MaxValue)
            _alarm.Change(_mount.Clock.GetElapsedTime(now, next) + TimeSpan.FromMilliseconds(1), Timeout.InfiniteTimeSpan);
    }
}
