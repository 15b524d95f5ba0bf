using System.Runtime.CompilerServices;
using Farspan.Backends;
using Farspan.Waiting;

namespace Farspan.Stages;

/// <summary>
/// Holds calls back while it is locked: all of them, or those that change bytes. Taking the lock waits for what is under way, so that its
/// holder finds the backend below at rest.
/// </summary>
/// <remarks>
/// <para>Locks count: the gate opens when the last one is given up. A call that waits can be cancelled. A stage that is disposed while it is
/// locked fails those that wait with <see cref="BackendError.ShuttingDown"/>.</para>
/// <para>Bytes on loan count as a read under way until they are given back; nothing is lent while everything is locked.</para>
/// <para>An open gate costs two interlocked additions a call and no allocation. Thread-safe.</para>
/// </remarks>
public sealed class LockGateStage : InterceptingStage, IMemoryLender, ILoan
{
    private readonly Lock _gate = new();
    private readonly LoanTable _loans = new();
    private readonly List<Drain> _drains = [];
    private Signal _changed = new();
    private int _changeLocks;
    private int _everythingLocks;
    private long _quietInFlight;
    private long _changesInFlight;
    private BackendException? _refusal;
    private bool _disposed;

    /// <summary>Wraps <paramref name="inner"/>; the gate is open.</summary>
    public LockGateStage(IBackend inner)
        : base(inner)
    {
    }

    /// <summary>
    /// Closes the gate at once and waits until what is under way has ended. A cancelled call opens the gate again, unless others hold it.
    /// </summary>
    /// <returns>The lock; dispose it to open the gate.</returns>
    /// <exception cref="OperationCanceledException">Cancelled; nothing is locked.</exception>
    /// <exception cref="BackendException">The stage was disposed meanwhile (<see cref="BackendError.ShuttingDown"/>).</exception>
    public async ValueTask<GateLock> LockAsync(GateScope scope = GateScope.Everything, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Drain drain;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            Count(scope, 1);
            drain = new Drain(scope, new Signal());
            if (IsAtRest(scope))
                return new GateLock(this, scope);
            _drains.Add(drain);
        }

        try
        {
            await drain.Done.WaitAsync(cancellationToken);
            return new GateLock(this, scope);
        }
        catch
        {
            lock (_gate)
                _drains.Remove(drain);
            Unlock(scope);
            throw;
        }
    }

    /// <inheritdoc/>
    bool IMemoryLender.TryLend(long offset, int length, out LentMemory lent)
    {
        BackendRange.Check(Length, offset, length);
        lent = default;
        if (!TryEnter(changes: false))
            return false;
        bool isLent = false;
        try
        {
            isLent = Below.Lender!.TryLend(offset, length, out var inner);
            if (isLent)
                lent = new LentMemory(inner.Memory, this, _loans.Add(inner));
            return isLent;
        }
        finally
        {
            if (!isLent)
                Leave(changes: false);
        }
    }

    /// <inheritdoc/>
    void ILoan.Return(long ticket)
    {
        if (!_loans.Remove(ticket, out var inner))
            return;
        inner.Dispose();
        Leave(changes: false);
    }

    /// <inheritdoc/>
    public override TCapability? GetCapability<TCapability>()
        where TCapability : class
    {
        if (typeof(TCapability) == typeof(IMemoryLender))
            return Below.Lender is null ? null : this as TCapability;
        return base.GetCapability<TCapability>();
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (!_disposed)
            {
                _disposed = true;
                _changed.Set();
                foreach (var drain in _drains)
                    drain.Done.Fail(Closed("Locking the gate"));
            }
        }

        return base.DisposeAsync();
    }

    /// <summary>From now on, until the gate opens, those that it holds back fail, as those do that wait already.</summary>
    internal void Refuse(BackendException refusal) => Change(() => _refusal = refusal);

    internal void Unlock(GateScope scope)
        => Change(() =>
        {
            Count(scope, -1);
            if (_changeLocks + _everythingLocks == 0)
                _refusal = null;
        });

    private protected override ValueTask InterceptAsync(in StageCall call, CancellationToken cancellationToken)
    {
        bool changes = (call.Operation & BackendOperation.Changes) != 0;
        if (!TryEnter(changes))
            return WaitAsync(call, changes, cancellationToken);
        var step = call.StartAsync(Below, cancellationToken);
        if (!step.IsCompleted)
            return LeaveLaterAsync(step, changes);
        Leave(changes);
        return step;
    }

    private void Change(Action change)
    {
        Signal changed;
        lock (_gate)
        {
            change();
            changed = _changed;
            if (!_disposed)
                _changed = new Signal();
        }

        changed.Set();
    }

    private static BackendException Closed(string what)
        => new(BackendError.ShuttingDown, $"{what} was given up: the backend was closed while its gate was locked.");

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask LeaveLaterAsync(ValueTask step, bool changes)
    {
        try
        {
            await step;
        }
        finally
        {
            Leave(changes);
        }
    }

    private async ValueTask WaitAsync(StageCall call, bool changes, CancellationToken cancellationToken)
    {
        do
        {
            Signal? changed;
            lock (_gate)
            {
                if (_disposed)
                    throw Closed(call.ToString());
                changed = IsClosed(changes) ? _changed : null;
                if (changed is not null && _refusal is { } refusal)
                    throw new BackendException(refusal.Error, refusal.Message, refusal);
            }

            if (changed is not null)
                await changed.WaitAsync(cancellationToken);
        }
        while (!TryEnter(changes));
        try
        {
            await call.StartAsync(Below, cancellationToken);
        }
        finally
        {
            Leave(changes);
        }
    }

    private bool TryEnter(bool changes)
    {
        // Counted first, then looked: together with the fence in Count, either this call sees the lock or the lock sees this call.
        Interlocked.Increment(ref InFlight(changes));
        if (!IsClosed(changes))
            return true;
        Leave(changes);
        return false;
    }

    private void Leave(bool changes)
    {
        if (Interlocked.Decrement(ref InFlight(changes)) != 0 || Volatile.Read(ref _changeLocks) + Volatile.Read(ref _everythingLocks) == 0)
            return;
        lock (_gate)
        {
            for (int i = _drains.Count - 1; i >= 0; i--)
            {
                if (!IsAtRest(_drains[i].Scope))
                    continue;
                _drains[i].Done.Set();
                _drains.RemoveAt(i);
            }
        }
    }

    private bool IsClosed(bool changes)
        => Volatile.Read(ref _everythingLocks) != 0 || (changes && Volatile.Read(ref _changeLocks) != 0);

    private bool IsAtRest(GateScope scope)
        => Volatile.Read(ref _changesInFlight) == 0 && (scope == GateScope.Changes || Volatile.Read(ref _quietInFlight) == 0);

    private void Count(GateScope scope, int by)
    {
        if (scope == GateScope.Everything)
            Interlocked.Add(ref _everythingLocks, by);
        else
            Interlocked.Add(ref _changeLocks, by);
    }

    private ref long InFlight(bool changes)
    {
        if (changes)
            return ref _changesInFlight;
        return ref _quietInFlight;
    }

    private sealed record Drain(GateScope Scope, Signal Done);
}
