namespace Farspan.Waiting;

/// <summary>
/// Something that happens once, or fails, and that any number of callers wait for, each with its own token. Thread-safe.
/// </summary>
/// <remarks>
/// Waiters go on on the scheduler that they wait on. A completion source that many wait for with <c>Task.WaitAsync(token)</c> would not do:
/// that call hops over a thread of the pool, and with it out of a simulation.
/// </remarks>
internal sealed class Signal
{
    private readonly Lock _gate = new();
    private List<TaskCompletionSource>? _waiters;
    private Exception? _failure;
    private bool _isSet;

    /// <summary>Whether it was set, or has failed.</summary>
    public bool IsSet => Volatile.Read(ref _isSet);

    /// <summary>Completes once the signal is set.</summary>
    /// <exception cref="OperationCanceledException">Cancelled before.</exception>
    public Task WaitAsync(CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
            return Task.FromCanceled(cancellationToken);
        TaskCompletionSource waiter;
        lock (_gate)
        {
            if (_isSet)
                return _failure is null ? Task.CompletedTask : Task.FromException(_failure);
            waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            (_waiters ??= []).Add(waiter);
        }

        return cancellationToken.CanBeCanceled ? WaitAsync(waiter, cancellationToken) : waiter.Task;
    }

    /// <summary>Sets the signal; only the first call, of this or <see cref="Fail"/>, counts.</summary>
    public void Set() => End(failure: null);

    /// <summary>Makes all waiters, now and later, throw.</summary>
    public void Fail(Exception failure) => End(failure);

    private async Task WaitAsync(TaskCompletionSource waiter, CancellationToken cancellationToken)
    {
        try
        {
            await using (cancellationToken.UnsafeRegister(static (state, token) => ((TaskCompletionSource)state!).TrySetCanceled(token), waiter))
                await waiter.Task;
        }
        catch (OperationCanceledException)
        {
            lock (_gate)
                _waiters?.Remove(waiter);
            throw;
        }
    }

    private void End(Exception? failure)
    {
        List<TaskCompletionSource>? waiters;
        lock (_gate)
        {
            if (_isSet)
                return;
            _isSet = true;
            _failure = failure;
            waiters = _waiters;
            _waiters = null;
        }

        foreach (var waiter in waiters ?? [])
        {
            if (failure is null)
                waiter.TrySetResult();
            else
                waiter.TrySetException(failure);
        }
    }
}
