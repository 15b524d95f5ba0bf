using Farspan.Backends;
using Farspan.Waiting;

namespace Farspan.Stages;

/// <summary>
/// Makes calls go wrong on purpose: errors, half-done writes, lost replies, stalls; by operation, place, number and probability. For tests
/// and benchmarks of what stands above.
/// </summary>
/// <remarks>
/// The rules are asked in the order in which they were injected; the first that a call meets decides. The draws of one seed come in the same
/// order in every run, as far as the calls do. Nothing is lent. Thread-safe; without a rule a call costs one read of a field.
/// </remarks>
public sealed class FaultInjectionStage : InterceptingStage
{
    private readonly Lock _gate = new();
    private readonly Random _random;
    private InjectedFault[] _faults = [];

    /// <summary>Wraps <paramref name="inner"/>; all goes well until a rule is injected.</summary>
    /// <param name="inner">The backend below.</param>
    /// <param name="seed">Where the draws of probabilities begin.</param>
    public FaultInjectionStage(IBackend inner, int seed = 0)
        : base(inner)
        => _random = new Random(seed);

    /// <summary>Puts a rule to work, until what is returned is disposed.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A value of the rule is out of its bounds.</exception>
    public InjectedFault Inject(FaultRule rule)
    {
        ArgumentNullException.ThrowIfNull(rule);
        rule.Validate();
        var fault = new InjectedFault(this, rule);
        lock (_gate)
            _faults = [.. _faults, fault];
        return fault;
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        InjectedFault[] faults;
        lock (_gate)
        {
            faults = _faults;
            _faults = [];
        }

        foreach (var fault in faults)
            fault.Abandon(new BackendException(BackendError.ShuttingDown, "The backend was closed while the call stalled."));
        return base.DisposeAsync();
    }

    internal void Remove(InjectedFault fault)
    {
        lock (_gate)
            _faults = Array.FindAll(_faults, other => other != fault);
    }

    private protected override ValueTask InterceptAsync(in StageCall call, CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _faults) is not { Length: > 0 } faults)
            return call.StartAsync(Below, cancellationToken);
        return FindHit(faults, call, out var released) is { } fault && released is not null
            ? GoWrongAsync(fault.Rule, released, call, cancellationToken)
            : call.StartAsync(Below, cancellationToken);
    }

    private InjectedFault? FindHit(InjectedFault[] faults, in StageCall call, out Signal? released)
    {
        // One call at a time, so that the draws do not depend on how threads meet inside a rule.
        lock (_gate)
        {
            foreach (var fault in faults)
            {
                if (fault.TryHit(call, _random, out released))
                    return fault;
            }
        }

        released = null;
        return null;
    }

    private async ValueTask GoWrongAsync(FaultRule rule, Signal released, StageCall call, CancellationToken cancellationToken)
    {
        switch (rule.Kind)
        {
            case FaultKind.Stall:
                await released.WaitAsync(cancellationToken);
                await call.StartAsync(Below, cancellationToken);
                return;
            case FaultKind.StalledReply:
                await call.StartAsync(Below, cancellationToken);
                await released.WaitAsync(cancellationToken);
                return;
            case FaultKind.Short when call.CanBeHalved:
                await call.Shortened(call.Length / 2).StartAsync(Below, cancellationToken);
                break;
            case FaultKind.LostReply:
                await call.StartAsync(Below, cancellationToken);
                break;
        }

        throw new BackendException(rule.Error, $"{call} failed: a fault was injected ({rule.Kind}).", isTransient: rule.IsTransient);
    }
}
