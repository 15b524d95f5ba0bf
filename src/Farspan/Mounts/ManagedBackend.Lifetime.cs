using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Mounts.Caching;
using Farspan.Stages;
using Farspan.Units;
using Farspan.Waiting;

namespace Farspan.Mounts;

/// <content>Opening, recovering, closing.</content>
public sealed partial class ManagedBackend
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Opens a managed mount of <paramref name="remote"/>, which belongs to it from then on. What a cache directory kept is used again, and what
    /// was dirty there is pushed. Pulling begins before this returns.
    /// </summary>
    /// <exception cref="ArgumentException">An option is out of its bounds.</exception>
    /// <exception cref="BackendException">The remote's lease could not be taken, or the cache could not be opened; or others may have written since
    /// the cache was used last (<see cref="BackendError.Fenced"/>, see <see cref="ManagedMountOptions.OnConflict"/>).</exception>
    public static async ValueTask<ManagedBackend> OpenAsync(
        IBackend remote, ManagedMountOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(remote);
        options ??= new ManagedMountOptions();
        options.Validate();
        var layout = new ChunkLayout(remote.Length, options.ChunkSize);
        var cache = await CacheChoice.OpenAsync(layout, options, cancellationToken);
        try
        {
            return await OpenAsync(remote, cache, options, cancellationToken);
        }
        catch
        {
            await cache.DisposeAsync();
            throw;
        }
    }

    internal static async ValueTask<ManagedBackend> OpenAsync(
        IBackend remote, IChunkCache cache, ManagedMountOptions options, CancellationToken cancellationToken = default)
    {
        var lease = await MountOwnership.TakeAsync(remote, cache, options, cancellationToken);
        try
        {
            var bytes = lease?.Backend ?? remote;
            if (bytes.GetCapability<IBlockSizes>() is { BlockSizes.Minimum: > 1 })
                bytes = new ArbitraryAccessStage(bytes);
            var mount = new ManagedBackend(remote, bytes, lease, cache, options);
            mount.Recover();
            mount.Start();
            return mount;
        }
        catch
        {
            if (lease is not null)
                await lease.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// Closes the mount: pushes what is dirty for as long as that gets on (<see cref="ManagedMountOptions.CloseTimeout"/>), and says what is left. A
    /// cache directory keeps that for the next mount. The remote is disposed. Nothing else may be called any more.
    /// </summary>
    public Task<MountCloseReport> CloseAsync()
    {
        var closing = new TaskCompletionSource<MountCloseReport>(TaskCreationOptions.RunContinuationsAsynchronously);
        var first = Interlocked.CompareExchange(ref _closing, closing.Task, null);
        if (first is not null)
            return first;
        return FinishAsync(closing);
    }

    /// <summary>Closes, where that has not been done.</summary>
    /// <exception cref="MountException">Something that was written is not at the remote; the message says how much, and where it is kept.</exception>
    public async ValueTask DisposeAsync()
    {
        bool isFirst = _closing is null;
        var report = await CloseAsync();
        if (!isFirst || report.IsComplete)
            return;
        string kept = report.KeptIn is null ? "it is lost" : $"it is kept in {report.KeptIn}, and the next mount pushes it";
        throw new MountException(
            $"{ByteSize.Format(report.UnpushedBytes)} of what was written did not reach the remote; {kept}: {report.Error?.Message}", report.Error);
    }

    private void Recover()
    {
        long now = _mount.Clock.GetTimestamp();
        lock (_mount.Gate)
        {
            foreach (var chunk in _mount.Cache.Recovered)
            {
                if (chunk.IsWhole)
                    _mount.Map.SetWhole(chunk.Index);
                foreach (var (start, length) in chunk.DirtyRanges)
                    _mount.Map.SetDirty(chunk.Index, start, start + length, ++_mount.LastWrite, now);
                if (chunk.UnprovenChecksum is { } checksum)
                    _mount.Unproven.Add(chunk.Index, checksum);
            }

            foreach (var (first, count) in _mount.Cache.RecoveredZeroes)
            {
                _mount.Map.SetZero(first, count);
                _mount.Map.Zeroes.Add(first, count, ZeroKind.Zero, ++_mount.LastWrite);
            }
        }
    }

    private void Start()
    {
        _lease?.Lost.UnsafeRegister(static state => ((ManagedBackend)state!)._pusher.Fence(), this);
        if (_mount.Options.Meter is { } meter)
            MountMeters.Create(meter, this);
        _mount.Tasks.Run(static mount => mount._puller.RunAsync(), this);
        _mount.Tasks.Run(static mount => mount._pusher.RunAsync(), this);
        if (_mount.Options.Progress is not null)
            _mount.Tasks.Run(static mount => mount.ReportProgressAsync(), this);
    }

    private async Task ReportProgressAsync()
    {
        await Task.Yield();
        while (!_mount.Closed.IsCancellationRequested)
        {
            _mount.Options.Progress!.Report(Status);
            try
            {
                await Task.Delay(TimeSpan.FromMilliseconds(200), _mount.Clock, _mount.Closed.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }

    private async Task<MountCloseReport> FinishAsync(TaskCompletionSource<MountCloseReport> closing)
    {
        try
        {
            var report = await CloseOnceAsync();
            closing.SetResult(report);
            return report;
        }
        catch (Exception defect)
        {
            closing.SetException(defect);
            throw;
        }
    }

    private async Task<MountCloseReport> CloseOnceAsync()
    {
        _state = MountState.Closing;
        await _pusher.RunHookAsync(_mount.Options.Hooks.BeforeSync);
        await _pusher.RunHookAsync(_mount.Options.Hooks.BeforeClose);
        _state = MountState.Closed;
        _mount.Closing.CancelHere();
        var error = await DrainAsync();
        _mount.Closed.CancelHere();
        _mount.Ready.Set();

        // A remote that answers to nothing, not even to being cancelled, is left behind.
        using (var grace = new CancellationTokenSource(Grace, _mount.Clock))
            await TryAsync(() => _mount.Tasks.WhenIdleAsync(grace.Token));
        error ??= _mount.Tasks.Defect;
        if (_lease is not null)
            error = await TryAsync(async () => await _lease.DisposeAsync()) ?? error;
        if (_mount.Cache.IsDurable)
            error = await TryAsync(async () => await _mount.Cache.FlushAsync(CancellationToken.None)) ?? error;
        error = await TryAsync(async () => await _mount.Cache.DisposeAsync()) ?? error;
        error = await TryAsync(async () => await _remote.DisposeAsync()) ?? error;
        return Conclude(error);
    }

    private MountCloseReport Conclude(Exception? error)
    {
        long left;
        lock (_mount.Gate)
            left = _mount.Map.DirtyBytes + Math.Min(Length, _mount.Map.Zeroes.UnknownCount * _mount.Layout.ChunkSize);
        if (left > 0)
            _state = MountState.Faulted;
        return new MountCloseReport(left, left > 0 && _mount.Cache.IsDurable ? _mount.Options.CacheDirectory : null, error);
    }

    /// <summary>Pushes what is left, until that has not got on for a time.</summary>
    private async Task<Exception?> DrainAsync()
    {
        // Not disposed: a push that ends may be about to put it off.
        var patience = new CancellationTokenSource(_mount.Options.CloseTimeout, _mount.Clock);
        _pusher.Advanced = () => patience.CancelAfter(_mount.Options.CloseTimeout);
        try
        {
            Exception? failure = null;
            while (true)
            {
                var error = await TryAsync(() => _pusher.DrainAsync(patience.Token));
                if (error is OperationCanceledException)
                    return failure ?? (_mount.Outage.IsDown ? _mount.Outage.Expired() : Late());
                if (error is null or not BackendException { IsTransient: true })
                    return error;
                failure = error;
            }
        }
        finally
        {
            _pusher.Advanced = null;
            patience.CancelAfter(Timeout.InfiniteTimeSpan);
        }
    }

    private BackendException Late() => new(
        BackendError.TimedOut, $"Nothing more reached the remote for {_mount.Options.CloseTimeout.TotalSeconds:0.###} s.");

    private static async Task<Exception?> TryAsync(Func<Task> step)
    {
        try
        {
            await step();
            return null;
        }
        catch (Exception error)
        {
            return error;
        }
    }
}
