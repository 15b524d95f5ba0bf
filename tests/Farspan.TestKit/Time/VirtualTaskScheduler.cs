namespace Farspan.TestKit.Time;

/// <summary>Queues tasks for one thread, which runs them in order, and counts those that came from another.</summary>
internal sealed class VirtualTaskScheduler : TaskScheduler
{
    private readonly Queue<Task> _queue = new();
    private readonly int _thread = Environment.CurrentManagedThreadId;

    /// <summary>Tasks queued from other threads.</summary>
    public int ForeignCount { get; private set; }

    public bool TryRunOne()
    {
        Task? task;
        lock (_queue)
        {
            if (!_queue.TryDequeue(out task))
                return false;
        }

        return TryExecuteTask(task);
    }

    protected override void QueueTask(Task task)
    {
        lock (_queue)
        {
            if (Environment.CurrentManagedThreadId != _thread)
                ForeignCount++;
            _queue.Enqueue(task);
        }
    }

    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) => false;

    protected override IEnumerable<Task> GetScheduledTasks()
    {
        lock (_queue)
            return [.. _queue];
    }
}
