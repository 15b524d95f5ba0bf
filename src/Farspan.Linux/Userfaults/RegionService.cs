using System.Runtime.ExceptionServices;
using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Linux.Userfaults;

/// <summary>
/// Serves a range of memory from a backend: brings what is touched or asked for, each chunk once; finds what was written and saves it; drops what is
/// beyond the resident limit. The place to begin reading: <see cref="FaultThreads"/> tells <see cref="FaultHandler"/> of faults,
/// <see cref="ChunkFiller"/> brings chunks, <see cref="RegionSaver"/> and <see cref="RegionEvictor"/> let them go. What is known of each chunk is in
/// <see cref="ChunkTable"/>. Thread-safe.
/// </summary>
#pragma warning disable CA1001 // StopAsync disposes the threads, once they have ended.
internal sealed class RegionService
#pragma warning restore CA1001
{
    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(5);

    private readonly RegionCore _region;
    private readonly ChunkFiller _filler;
    private readonly RegionEvictor _evictor;
    private readonly RegionPrefetcher _prefetcher;
    private readonly RegionSaver _saver;
    private readonly AbsentWriter _absent;
    private readonly FaultThreads _threads;
    private volatile bool _isStopped;

    private RegionService(RegionMemory memory, IBackend backend, RegionOptions options)
    {
        _region = new RegionCore(memory, backend, options);
        _evictor = new RegionEvictor(_region);
        _filler = new ChunkFiller(_region, _evictor);
        _prefetcher = new RegionPrefetcher(_region, _filler);
        _saver = new RegionSaver(_region);
        _absent = new AbsentWriter(_region, _evictor, _saver);
        _evictor.Save = _saver.SaveAsync;
        var handler = new FaultHandler(_region, _filler, _prefetcher, _evictor);
        _threads = new FaultThreads(memory.Faults, handler, options.FaultThreads, options.Name);
    }

    public RegionMemory Memory => _region.Memory;

    public ChunkLayout Layout => _region.Layout;

    /// <summary>Bytes that are brought in one go, and always fit.</summary>
    public int BatchLength => (int)(_region.BatchChunks * Layout.ChunkSize);

    public RegionCounters Counters => _region.Counters;

    /// <summary>Bytes of the region that are in memory, or on their way there.</summary>
    public long ResidentBytes => Math.Min(_region.Layout.Length, _evictor.Resident * _region.Layout.ChunkSize);

    /// <summary>Bytes that are held.</summary>
    public long HeldBytes => Math.Min(_region.Layout.Length, _region.HeldChunks * _region.Layout.ChunkSize);

    /// <summary>What ended the service before its time, or null.</summary>
    public Exception? Failure => _threads.Failure ?? _region.Tasks.Defect;

    /// <summary>Completes when faults cannot be read any more, before the service was stopped.</summary>
    public Task Broken => _threads.Broken;

    /// <summary>Begins to serve.</summary>
    /// <param name="memory">The memory; it is given up when the service stops.</param>
    /// <param name="backend">Where its bytes come from; not owned.</param>
    /// <param name="options">How.</param>
    public static RegionService Start(RegionMemory memory, IBackend backend, RegionOptions options)
    {
        var service = new RegionService(memory, backend, options);
        service._threads.Start();
        if (options.SaveInterval is { } interval)
            service._region.Tasks.Run(static state => state.Service.SaveEveryAsync(state.Interval), (Service: service, Interval: interval));
        return service;
    }

    /// <summary>Brings a range and holds it: it is present until it is released as often. Completes at once where it is present.</summary>
    /// <exception cref="BackendException">It cannot be brought; or more would be held than may be in memory.</exception>
    public ValueTask AcquireAsync(long offset, long length, RegionUse use, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isStopped, typeof(RemoteMemory));
        if (length == 0)
            return ValueTask.CompletedTask;
        long first = Layout.IndexOf(offset);
        long count = Layout.IndexOf(offset + length - 1) - first + 1;
        long held = HoldPresent(first, count, use);
        return held == count ? ValueTask.CompletedTask : AcquireAbsentAsync(first, held, count, use, cancellationToken);
    }

    /// <summary>Ends a hold.</summary>
    public void Release(long offset, long length, RegionUse use)
    {
        if (length > 0)
            ReleaseChunks(Layout.IndexOf(offset), Layout.IndexOf(offset + length - 1) - Layout.IndexOf(offset) + 1, use);
    }

    /// <inheritdoc cref="AbsentWriter.ClaimAsync"/>
    public ValueTask<int> ClaimAbsentAsync(long offset, int length, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isStopped, typeof(RemoteMemory));
        return length < Layout.ChunkSize ? ValueTask.FromResult(0) : _absent.ClaimAsync(offset, length, cancellationToken);
    }

    /// <inheritdoc cref="AbsentWriter.TryPut"/>
    public bool TryPut(long offset, ReadOnlySpan<byte> bytes) => _absent.TryPut(offset, bytes);

    /// <summary>Brings a range, as far as the resident limit allows.</summary>
    /// <exception cref="BackendException">Something could not be brought.</exception>
    public Task PrefetchAsync(long offset, long length, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isStopped, typeof(RemoteMemory));
        if (length == 0)
            return Task.CompletedTask;
        long first = Layout.IndexOf(offset);
        long room = Math.Max(1, _region.LimitChunks - (2 * _region.BatchChunks) - _region.HeldChunks);
        return _prefetcher.BringAsync(first, Math.Min(room, Layout.IndexOf(offset + length - 1) - first + 1), cancellationToken);
    }

    /// <summary>Lets what could not be brought, and was given up for that, be asked for again.</summary>
    public void Forgive(long offset, long length)
    {
        ObjectDisposedException.ThrowIf(_isStopped, typeof(RemoteMemory));
        long end = Layout.IndexOf(offset + Math.Max(1, length) - 1) + 1;
        for (long index = Layout.IndexOf(offset); (index = _region.Table.SkipUntouched(index, end)) < end; index++)
            Forgive(index);
    }

    /// <summary>Brings everything that was written to the backend.</summary>
    /// <exception cref="BackendException">Something could not be; it stays to be saved.</exception>
    public Task SaveAsync(CancellationToken cancellationToken) => _saver.SaveAsync(0, Layout.ChunkCount, cancellationToken);

    /// <summary>Bytes that were written and are not at the backend; whole pages or chunks.</summary>
    public long CountWritten() => _region.Backend.IsReadOnly || _isStopped ? 0 : _saver.CountWritten();

    /// <summary>
    /// Ends everything: threads, tasks, the memory. What was written since the last save is given up. Threads that wait for a page get SIGSEGV, never
    /// zeroes. Whether all has ended; what has not is a call of the backend that does not come back.
    /// </summary>
    public async Task<bool> StopAsync()
    {
        if (_isStopped)
            return true;
        _isStopped = true;
        _region.Stopping.Cancel();
        bool isIdle = true;
        using (var grace = new CancellationTokenSource(s_grace, _region.Options.Clock))
        {
            try
            {
                await _region.Tasks.WhenIdleAsync(grace.Token);
            }
            catch (OperationCanceledException)
            {
                isIdle = false;
            }
        }

        // The threads go on meanwhile: giving memory up may have to be told to them.
        await Task.Factory.StartNew(_region.Memory.GiveUp, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        bool haveEnded = await Task.Factory.StartNew(_threads.Stop, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        _region.Huge?.Dispose();
        if (haveEnded)
        {
            _threads.Dispose();
            _region.Memory.Dispose();
        }

        return isIdle && haveEnded;
    }

    private long HoldPresent(long first, long count, RegionUse use)
    {
        long held = 0;
        while (held < count && _region.TryHold(first + held, ChunkTable.Used))
        {
            if (use == RegionUse.Writing && !_region.Memory.TracksWrites)
                _saver.MarkUnsaved(first + held);
            held++;
        }

        return held;
    }

    private async ValueTask AcquireAbsentAsync(long first, long held, long count, RegionUse use, CancellationToken cancellationToken)
    {
        try
        {
            if (_region.HeldChunks + count - held > Math.Max(1, _region.LimitChunks - (2 * _region.BatchChunks)))
                throw _evictor.TooSmall();
            if (count - held > _region.BatchChunks)
                await _prefetcher.BringAsync(first + held, count - held, cancellationToken);
            while ((held += HoldPresent(first + held, count - held, use)) < count)
                await BringAsync(first + held, count - held, cancellationToken);
        }
        catch
        {
            ReleaseChunks(first, held, use);
            throw;
        }
    }

    private async ValueTask BringAsync(long index, long count, CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_isStopped, typeof(RemoteMemory));
        var state = _region.Table.StateOf(index);
        switch (state)
        {
            case ChunkState.Absent:
                long claimed = _region.Claim(index, Math.Min(_region.BatchChunks, count));
                if (claimed > 0)
                    await FillAsync(index, claimed, cancellationToken);
                break;
            case ChunkState.Poisoned:
                Forgive(index);
                break;
            case ChunkState.Filling or ChunkState.Evicting:
                await _region.Waiters.WaitAsync(index, state, cancellationToken);
                break;
            case ChunkState.Gone:
                throw new BackendException(BackendError.NotFound, "A part of the region's memory was unmapped.");
        }
    }

    /// <summary>Lifts a chunk's poison. It is absent then, and brought as any other: a save that took the poison for written bytes waits for no room.</summary>
    private void Forgive(long index)
    {
        if (!_region.Table.TryMove(index, ChunkState.Poisoned, ChunkState.Filling))
            return;
        var state = ChunkState.Poisoned;
        try
        {
            _region.Memory.Drop(_region.Layout.OffsetOf(index), _region.PagesOf(index, 1));
            state = ChunkState.Absent;
        }
        finally
        {
            _region.Finish(index, state);
        }
    }

    private async ValueTask FillAsync(long first, long count, CancellationToken cancellationToken)
    {
        // Others may wait for it too, so it goes on when this caller does not wait any more.
        Exception? error;
        if (cancellationToken.CanBeCanceled)
        {
            var filling = _filler.FillAsync(first, count).AsTask();
            _region.Tasks.Run(static task => task, filling);
            error = await filling.WaitAsync(cancellationToken);
        }
        else
        {
            error = await _filler.FillAsync(first, count);
        }

        if (error is null)
            return;
        ObjectDisposedException.ThrowIf(_isStopped, typeof(RemoteMemory));
        ExceptionDispatchInfo.Throw(error);
    }

    private void ReleaseChunks(long first, long count, RegionUse use)
    {
        for (long index = first; index < first + count; index++)
        {
            if (use == RegionUse.Writing && !_region.Memory.TracksWrites)
                _saver.MarkUnsaved(index);
            _region.Release(index);
        }
    }

    private async Task SaveEveryAsync(TimeSpan interval)
    {
        var stop = _region.Stopping.Token;
        try
        {
            while (true)
            {
                await Task.Delay(interval, _region.Options.Clock, stop);
                try
                {
                    await SaveAsync(stop);
                }
                catch (BackendException error)
                {
                    // It stays to be saved; a flush or the close says so.
                    _region.Counters.LastError = error;
                }
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The region ends.
        }
    }
}
