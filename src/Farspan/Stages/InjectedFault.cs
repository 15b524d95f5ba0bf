namespace Farspan.Stages;

/// <summary>
/// A rule at work in a <see cref="FaultInjectionStage"/>. Disposing it ends the rule and releases what it stalls. Thread-safe.
/// </summary>
public sealed class InjectedFault : IDisposable
{
    private readonly FaultInjectionStage _stage;
    private readonly Lock _gate = new();
    private TaskCompletionSource _released = NewSignal();
    private TaskCompletionSource _hit = NewSignal();
    private long _matches;
    private int _hits;
    private bool _ended;

    internal InjectedFault(FaultInjectionStage stage, FaultRule rule)
    {
        _stage = stage;
        Rule = rule;
    }

    /// <summary>The rule.</summary>
    public FaultRule Rule { get; }

    /// <summary>The number of calls that went wrong so far.</summary>
    public int Hits => Volatile.Read(ref _hits);

    /// <summary>Returns once at least <paramref name="count"/> calls have met the fault; one that stalls has met it.</summary>
    public async Task WaitForHitsAsync(int count, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            Task hit;
            lock (_gate)
            {
                if (_hits >= count)
                    return;
                hit = _hit.Task;
            }

            await hit.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Lets the calls go on that stall now. Later ones stall again.</summary>
    public void Release()
    {
        TaskCompletionSource released;
        lock (_gate)
        {
            released = _released;
            if (!_ended)
                _released = NewSignal();
        }

        released.TrySetResult();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
            _ended = true;
        _stage.Remove(this);
        Release();
    }

    /// <summary>Whether this call goes wrong; then <paramref name="released"/> is what a stall waits for.</summary>
    internal bool TryHit(in StageCall call, Random random, out Task released)
    {
        TaskCompletionSource hit;
        lock (_gate)
        {
            released = _released.Task;
            if (_ended || (Rule.Operations & call.Operation) == 0 || Rule.Where?.Invoke(call.Operation, call.Offset, call.Length) == false)
                return false;
            if (_matches++ < Rule.Skip || _hits >= Rule.Count)
                return false;
            if (Rule.Probability < 1 && random.NextDouble() >= Rule.Probability)
                return false;
            _hits++;
            hit = _hit;
            _hit = NewSignal();
        }

        hit.TrySetResult();
        return true;
    }

    /// <summary>Fails what stalls and ends the rule.</summary>
    internal void Abandon(Exception error)
    {
        lock (_gate)
        {
            _ended = true;
            _released.TrySetException(error);
            _ = _released.Task.Exception;
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
