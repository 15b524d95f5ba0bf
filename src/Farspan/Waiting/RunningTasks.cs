namespace Farspan.Waiting;

/// <summary>Owns the tasks that somebody starts and goes on without: counts them, and lets their owner wait for the last. Thread-safe.</summary>
internal sealed class RunningTasks
{
    private readonly Lock _gate = new();
    private Signal _idle = new();
    private int _count;

    /// <summary>What a task failed with that should have dealt with its failures itself: a defect of ours, to be reported.</summary>
    public Exception? Defect { get; private set; }

    /// <summary>Starts a task on the caller's scheduler; it runs on the caller's stack until it first waits.</summary>
    public void Run<TState>(Func<TState, Task> body, TState state)
    {
        lock (_gate)
        {
            if (_count++ == 0)
                _idle = new Signal();
        }

        _ = RunAsync(body, state);
    }

    /// <summary>Completes when no task is running.</summary>
    public Task WhenIdleAsync(CancellationToken cancellationToken)
    {
        lock (_gate)
            return _count == 0 ? Task.CompletedTask : _idle.WaitAsync(cancellationToken);
    }

    private async Task RunAsync<TState>(Func<TState, Task> body, TState state)
    {
        try
        {
            await body(state);
        }
        catch (Exception defect)
        {
            lock (_gate)
                Defect ??= defect;
        }

        Signal? idle = null;
        lock (_gate)
        {
            if (--_count == 0)
                idle = _idle;
        }

        idle?.Set();
    }
}
