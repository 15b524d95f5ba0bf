namespace Farspan.Waiting;

/// <summary>Wakes one loop, now or when it next waits; wakes that come together count once. Any thread may wake; one loop waits.</summary>
internal sealed class WakeUp
{
    private readonly Lock _gate = new();
    private TaskCompletionSource? _waiter;
    private bool _isSet;

    /// <summary>Wakes the loop. Runs nothing of it on the caller's stack.</summary>
    public void Set()
    {
        TaskCompletionSource? waiter;
        lock (_gate)
        {
            waiter = _waiter;
            _waiter = null;
            _isSet = waiter is null;
        }

        waiter?.SetResult();
    }

    /// <summary>Completes at the next wake, at once where there was one since the last wait.</summary>
    public Task WaitAsync()
    {
        lock (_gate)
        {
            if (_isSet)
            {
                _isSet = false;
                return Task.CompletedTask;
            }

            _waiter ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _waiter.Task;
        }
    }
}
