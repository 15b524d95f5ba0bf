namespace Farspan.Linux.Files;

/// <summary>
/// Threads that make the calls of one file that may wait for the disk. The .NET thread pool adds threads too slowly for that: at a depth of
/// 32, with two processors, 30 reads would wait for the pool and not for the disk. Threads start when there is work for them and end when
/// there was none for a while.
/// </summary>
/// <remarks>All members may be called from any thread. The queue is as long as its callers have requests in flight.</remarks>
internal sealed class FileWorkers : IAsyncDisposable
{
    private const int StackLength = 256 << 10;
    private static readonly TimeSpan IdleTime = TimeSpan.FromSeconds(10);
    private readonly Queue<IFileWork> _queue = new();
    private readonly object _gate = new();
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly int _maximum;
    private int _threads;
    private int _idle;
    private bool _closed;

    public FileWorkers(int maximum) => _maximum = maximum;

    /// <summary>Queues work; it is executed even when the workers are closed meanwhile.</summary>
    /// <exception cref="ObjectDisposedException">They are closed already.</exception>
    public void Post(IFileWork work)
    {
        bool start;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_closed, typeof(LinuxFileBackend));
            _queue.Enqueue(work);
            start = _idle < _queue.Count && _threads < _maximum;
            if (start)
                _threads++;
            else
                Monitor.Pulse(_gate);
        }

        if (start)
            Start();
    }

    /// <summary>Queues a call and completes when it returns.</summary>
    public Task RunAsync(Action call, CancellationToken cancellationToken)
    {
        var work = new CallWork(call, cancellationToken);
        Post(work);
        return work.Task;
    }

    /// <summary>Takes no more work, and returns when all that was queued is done and every thread has ended.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (!_closed)
            {
                _closed = true;
                if (_threads == 0)
                    _ended.TrySetResult();
                else
                    Monitor.PulseAll(_gate);
            }
        }

        await _ended.Task;
    }

    private void Start()
    {
        try
        {
            new Thread(Run, StackLength) { IsBackground = true, Name = "farspan-file" }.Start();
        }
        catch (Exception error) when (error is OutOfMemoryException or ThreadStartException)
        {
            // No thread to be had: the work is done here, and late, rather than never.
            Run();
        }
    }

    private void Run()
    {
        while (TryTake(out var work))
            work.Execute();
    }

    private bool TryTake([System.Diagnostics.CodeAnalysis.NotNullWhen(true)] out IFileWork? work)
    {
        bool timedOut = false;
        lock (_gate)
        {
            while (true)
            {
                if (_queue.TryDequeue(out work))
                    return true;
                if (_closed || timedOut)
                {
                    if (--_threads == 0 && _closed)
                        _ended.TrySetResult();
                    return false;
                }

                _idle++;
                timedOut = !Monitor.Wait(_gate, IdleTime);
                _idle--;
            }
        }
    }

    private sealed class CallWork(Action call, CancellationToken cancellationToken) : IFileWork
    {
        private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Task => _done.Task;

        public void Execute()
        {
            try
            {
                cancellationToken.ThrowIfCancellationRequested();
                call();
                _done.SetResult();
            }
            catch (OperationCanceledException cancelled)
            {
                _done.SetCanceled(cancelled.CancellationToken);
            }
#pragma warning disable CA1031 // Whatever it is, it belongs to who waits, and the thread goes on.
            catch (Exception error)
#pragma warning restore CA1031
            {
                _done.SetException(error);
            }
        }
    }
}
