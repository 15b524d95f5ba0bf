namespace Farspan.TestKit.Time;

/// <summary>
/// Queues tasks for one thread, which runs them in order or, with a seed, in an order that the seed picks; counts those that came from another
/// thread.
/// </summary>
internal sealed class VirtualTaskScheduler(int? seed = null) : TaskScheduler
{
    private readonly List<Task> _queue = [];
    private readonly Random? _random = seed is { } value ? new Random(value) : null;
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private int _first;

    /// <summary>Tasks queued from other threads.</summary>
    public int ForeignCount { get; private set; }

    /// <summary>Tasks run so far.</summary>
    public long StepCount { get; private set; }

    /// <summary>Changes with every choice that was made: two runs of one seed end with the same.</summary>
    public ulong Fingerprint { get; private set; } = 14695981039346656037;

    public bool TryRunOne()
    {
        Task task;
        lock (_queue)
        {
            int count = _queue.Count - _first;
            if (count == 0)
                return false;
            int picked = _first + (_random?.Next(count) ?? 0);
            task = _queue[picked];
            _queue[picked] = _queue[_first];
            _first++;
            if (_first == _queue.Count)
            {
                _queue.Clear();
                _first = 0;
            }

            StepCount++;
            Fingerprint = (Fingerprint ^ (ulong)((count << 16) + picked)) * 1099511628211;
        }

        return TryExecuteTask(task);
    }

    protected override void QueueTask(Task task)
    {
        lock (_queue)
        {
            if (Environment.CurrentManagedThreadId != _thread)
                ForeignCount++;
            _queue.Add(task);
        }
    }

    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) => false;

    protected override IEnumerable<Task> GetScheduledTasks()
    {
        lock (_queue)
            return _queue[_first..];
    }
}
