using Farspan.Waiting;

namespace Farspan.Stages;

/// <summary>
/// A rule at work in a <see cref="FaultInjectionStage"/>. Disposing it ends the rule and releases what it stalls. Thread-safe.
/// </summary>
public sealed class InjectedFault : IDisposable
{
    private readonly FaultInjectionStage _stage;
    private readonly Lock _gate = new();
    private Signal _released = new();
    private Signal _hit = new();
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
            Signal hit;
            lock (_gate)
            {
                if (_hits >= count)
                    return;
                hit = _hit;
            }

            await hit.WaitAsync(cancellationToken);
        }
    }

    /// <summary>Lets the calls go on that stall now. Later ones stall again.</summary>
    public void Release()
    {
        Signal released;
        lock (_gate)
        {
            released = _released;
            if (!_ended)
                _released = new Signal();
        }

        released.Set();
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
    internal bool TryHit(in StageCall call, Random random, out Signal released)
    {
        Signal hit;
        lock (_gate)
        {
            released = _released;
            if (_ended || (Rule.Operations & call.Operation) == 0 || Rule.Where?.Invoke(call.Operation, call.Offset, call.Length) == false)
                return false;
            if (_matches++ < Rule.Skip || _hits >= Rule.Count)
                return false;
            if (Rule.Probability < 1 && random.NextDouble() >= Rule.Probability)
                return false;
            _hits++;
            hit = _hit;
            _hit = new Signal();
        }

        hit.Set();
        return true;
    }

    /// <summary>Fails what stalls and ends the rule.</summary>
    internal void Abandon(Exception error)
    {
        Signal released;
        lock (_gate)
        {
            _ended = true;
            released = _released;
        }

        released.Fail(error);
    }
}
