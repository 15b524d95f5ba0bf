using System.Diagnostics;
using Farspan.Backends;
using Farspan.Linux.Interop;
using Farspan.Mounts;
using Microsoft.Extensions.Logging;

namespace Farspan.Linux.Fuse;

/// <summary>
/// One FUSE connection: the device, the threads that read it, the requests under way. It ends when the file system is unmounted, when it is
/// stopped, or when one of its threads fails.
/// </summary>
#pragma warning disable CA1001 // FinishAsync disposes the device and the requests, unless operations that never ended still use them.
internal sealed class FuseSession
#pragma warning restore CA1001
{
    private static readonly TimeSpan s_stopPatience = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_stoppedPatience = TimeSpan.FromSeconds(5);

    private readonly FuseDevice _device;
    private readonly FuseDevice? _lookout;
    private readonly FuseRequestPool _pool;
    private readonly FuseFileServer _server;
    private readonly FuseWriteLog _writes;
    private readonly FuseMountOptions _options;
    private readonly FuseReader[] _readers;
    private readonly TaskCompletionSource _readersEnded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _runningReaders;
    private volatile Exception? _fault;
    private volatile string? _cutOff;
    private volatile bool _isStopped;

    public FuseSession(SafeDescriptor device, IBackend backend, FuseFileSettings settings, FuseMountOptions options, string name)
    {
        _options = options;
        _device = new FuseDevice(device);
        _lookout = _device.TryOpenLookout();
        _pool = new FuseRequestPool(options.MaximumRequests, settings.RequestCapacity);
        _writes = new FuseWriteLog(backend);
        _server = new FuseFileServer(backend, settings, _writes, _pool.Return, options.Logger)
        {
            Interrupted = Interrupt,
            Openings = _lookout is null ? [_device] : [_device, _lookout],
        };
        _readers = new FuseReader[options.Threads];
        for (int i = 0; i < _readers.Length; i++)
            _readers[i] = new FuseReader(_device, _lookout, _server, _pool, ReaderEnded, $"fuse {i} {name}");
    }

    /// <summary>Completes once the kernel has shaken hands.</summary>
    public Task Ready => _server.Ready;

    /// <summary>Completes once the connection has ended and no thread reads it any more; never fails.</summary>
    public Task ReadersEnded => _readersEnded.Task;

    /// <summary>Grows with each write that has reached the backend.</summary>
    public long WriteCount => _writes.WriteCount;

    /// <summary>
    /// Has the kernel drop what it keeps of the file's bytes, so that the next reader asks for them, as it does for who opens a file that has changed. Waits for
    /// requests that concern them.
    /// </summary>
    /// <param name="open">Opens the file, and closes it; false where it cannot be reached.</param>
    /// <returns>What <paramref name="open"/> said.</returns>
    public bool DropCacheByOpening(Func<bool> open)
    {
        _server.DropsCacheAtOpen = true;
        try
        {
            return open();
        }
        finally
        {
            _server.DropsCacheAtOpen = false;
        }
    }

    /// <summary>
    /// The same without the file, by a notice on the connection: a process that is killed meanwhile keeps the connection, and what the notice waits for never comes then.
    /// </summary>
    /// <exception cref="BackendException">The kernel refused.</exception>
    public void DropCache()
    {
        Errno error;
        bool isHeld = false;
        try
        {
            // The number stays this device's for the time of the call, whatever ends meanwhile.
            _device.Descriptor.DangerousAddRef(ref isHeld);
            error = _server.SendDropCache(_device);
        }
        catch (ObjectDisposedException)
        {
            return;
        }
        finally
        {
            if (isHeld)
                _device.Descriptor.DangerousRelease();
        }

        // Where it does not know the file, or there is no connection any more, it keeps nothing.
        if (error is not (Errno.Ok or Errno.ENOENT or Errno.ENODEV or Errno.ENOTCONN or Errno.ECONNABORTED))
            throw LinuxError.Exception(error, "having the kernel drop the pages of the mounted file");
    }

    public void Start()
    {
        _runningReaders = _readers.Length;
        foreach (var reader in _readers)
            reader.Start();
    }

    /// <summary>
    /// Ends the connection, whatever runs: what programs still ask of the file fails with ENOTCONN, operations that wait are cancelled, and
    /// threads inside a backend's call are left there.
    /// </summary>
    /// <param name="reason">What <see cref="FinishAsync"/> reports; null where that is known otherwise.</param>
    public void Stop(string? reason)
    {
        _cutOff ??= reason;
        _isStopped = true;
        _pool.Close();
        foreach (var reader in _readers)
            reader.BeginStop();
        long start = Stopwatch.GetTimestamp();
        // Each is woken, though another may stand in the backend: one that stays in the kernel would keep the connection.
        bool haveEnded;
        do
        {
            haveEnded = true;
            foreach (var reader in _readers)
                haveEnded &= reader.TryEnd(TimeSpan.FromMilliseconds(1));
        }
        while (!haveEnded && Stopwatch.GetElapsedTime(start) < s_stopPatience);

        foreach (var request in _pool.Snapshot())
            request.CancelWaiting();
        try
        {
            _lookout?.Abort();
            _device.Abort();
        }
        catch (BackendException error)
        {
            LogMessages.NotAborted(_options.Logger, error.Message);
        }

        _readersEnded.TrySetResult();
    }

    /// <summary>
    /// After <see cref="ReadersEnded"/>: waits for the requests under way, flushes, frees everything, and throws what went wrong.
    /// </summary>
    /// <exception cref="BackendException">The flush failed, or pages that the kernel wrote back were refused.</exception>
    /// <exception cref="MountException">A thread failed, or something did not end in time.</exception>
    public async Task FinishAsync()
    {
        var clock = _options.Clock;
        bool isIdle = await Task.Factory.StartNew(
            () => WaitUntilIdle(clock), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        Exception? flushFailure = await FlushAsync(clock);
        if (isIdle)
        {
            // Requests that never ended keep their memory and the device: their operations may still use both.
            _lookout?.Dispose();
            _device.Dispose();
            _pool.Dispose();
        }

        ThrowWhatWentWrong(isIdle, flushFailure);
    }

    private bool WaitUntilIdle(TimeProvider clock)
    {
        var patience = _isStopped && _options.CloseTimeout > s_stoppedPatience ? s_stoppedPatience : _options.CloseTimeout;
        if (_pool.WaitUntilIdle(patience, clock))
            return true;
        foreach (var request in _pool.Snapshot())
            request.CancelWaiting();
        return _pool.WaitUntilIdle(TimeSpan.FromSeconds(1), clock);
    }

    private async Task<Exception?> FlushAsync(TimeProvider clock)
    {
        if (!_writes.IsDirty)
            return null;
        using var deadline = new CancellationTokenSource(_options.CloseTimeout, clock);
        try
        {
            // On a thread of its own: a backend may block before it returns its task.
            await Task.Factory.StartNew(
                () => _writes.FlushAsync(deadline.Token).AsTask(), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)
                .Unwrap().WaitAsync(deadline.Token);
            return null;
        }
        catch (OperationCanceledException cancelled)
        {
            return new MountException($"The last flush did not end within {_options.CloseTimeout.TotalSeconds:0} s; what was written since the one before may be lost.", cancelled);
        }
        catch (Exception error)
        {
            return error;
        }
    }

    private void ThrowWhatWentWrong(bool isIdle, Exception? flushFailure)
    {
        var (lost, firstLoss) = _writes.LostWrites;
        if (_fault is { } fault)
            throw new MountException($"A thread that serves the mount failed: {fault.Message}", fault);
        if (lost > 0)
        {
            throw new BackendException(
                (firstLoss as BackendException)?.Error ?? BackendError.InputOutput,
                $"{lost} writes from the page cache failed and are lost; the first: {firstLoss!.Message}", firstLoss);
        }

        if (flushFailure is BackendException refused)
            throw new BackendException(refused.Error, $"The last flush failed: {refused.Message}", refused, refused.IsTransient);
        if (flushFailure is not null)
            throw flushFailure as MountException ?? new MountException($"The last flush failed: {flushFailure.Message}", flushFailure);
        if (_cutOff is { } reason)
            throw new MountException(reason);
        if (!isIdle)
            throw new MountException($"Requests to the backend did not end within {_options.CloseTimeout.TotalSeconds:0} s of the mount's end.");
    }

    private void ReaderEnded(Exception? error)
    {
        if (error is not null)
        {
            LogMessages.ReaderFailed(_options.Logger, error);
            _fault ??= error;
            _ = Task.Factory.StartNew(() => Stop(reason: null), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }

        if (Interlocked.Decrement(ref _runningReaders) == 0)
        {
            _pool.Close();
            _readersEnded.TrySetResult();
        }
    }

    private bool Interrupt(ulong unique) => Array.Exists(_pool.Snapshot(), request => request.TryInterrupt(unique));
}
