namespace Farspan.Nbd.Server;

/// <summary>The thread that does what would have to wait, started when it is first needed. All members may be called from any thread.</summary>
internal sealed class SendingThread(Action work, string name, Action<Thread> start) : IDisposable
{
    private readonly Lock _starting = new();

    // Never disposed: it holds nothing to free, and a late poster may still signal it.
    private readonly SemaphoreSlim _wake = new(0, 1);
    private Thread? _thread;
    private volatile bool _ends;

    /// <summary>Has the work done once more, after now. False where there is no thread to be had.</summary>
    public bool TryWake()
    {
        try
        {
            lock (_starting)
            {
                if (_thread is null)
                {
                    var thread = new Thread(Run, 256 << 10) { IsBackground = true, Name = name };
                    start(thread);
                    _thread = thread;
                }
            }
        }
        catch (Exception error) when (error is OutOfMemoryException or ThreadStartException)
        {
            return false;
        }

        Signal();
        return true;
    }

    /// <summary>Has the work done to its end, and waits for that.</summary>
    public void Dispose()
    {
        _ends = true;
        Signal();
        Thread? thread;
        lock (_starting)
            thread = _thread;
        thread?.Join();
    }

    private void Signal()
    {
        try
        {
            _wake.Release();
        }
        catch (SemaphoreFullException)
        {
            // It is awake already.
        }
    }

    private void Run()
    {
        while (true)
        {
            _wake.Wait();
            work();
            if (_ends)
                return;
        }
    }
}
