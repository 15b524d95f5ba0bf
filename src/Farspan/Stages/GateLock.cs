namespace Farspan.Stages;

/// <summary>A lock held on a <see cref="LockGateStage"/>. Disposing it, from any thread and however often, gives it up once.</summary>
public sealed class GateLock : IDisposable
{
    private LockGateStage? _stage;

    internal GateLock(LockGateStage stage, GateScope scope)
    {
        _stage = stage;
        Scope = scope;
    }

    /// <summary>What is held back.</summary>
    public GateScope Scope { get; }

    /// <summary>Fails those that the gate holds back, now and until it opens, where they would wait for nothing. Nothing where it was given up.</summary>
    /// <param name="refusal">What each of them is told.</param>
    internal void Refuse(Backends.BackendException refusal) => Volatile.Read(ref _stage)?.Refuse(refusal);

    /// <inheritdoc/>
    public void Dispose() => Interlocked.Exchange(ref _stage, null)?.Unlock(Scope);
}
