namespace Farspan.Backends.Leases;

/// <summary>A backend behind its gate, as one writer sees it: every change enters under his epoch. Thread-safe.</summary>
/// <param name="inner">The bytes, which stay their owner's.</param>
/// <param name="gate">The gate.</param>
/// <param name="session">The writer; empty for one without a lease.</param>
/// <param name="epoch">His lease; 0 without one.</param>
internal sealed class GatedBackend(IBackend inner, LeaseGate gate, Guid session = default, long epoch = 0) : IBackend, ITrim, IZero
{
    private readonly ITrim? _trim = inner.GetCapability<ITrim>();
    private readonly IZero? _zero = inner.GetCapability<IZero>();

    public long Length => inner.Length;

    public bool IsReadOnly => inner.IsReadOnly;

    bool IZero.CanZeroFast => _zero!.CanZeroFast;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => inner.ReadAsync(offset, buffer, cancellationToken);

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        gate.Enter(session, epoch);
        bool isOver = true;
        try
        {
            var change = inner.WriteAsync(offset, buffer, cancellationToken);
            if (change.IsCompletedSuccessfully)
                return default;
            isOver = false;
            return LeavingAsync(change);
        }
        finally
        {
            if (isOver)
                gate.Exit();
        }
    }

    // Without a lease it is let through: it changes nothing, and makes durable what was written before one was given.
    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
        => epoch == 0 ? inner.FlushAsync(cancellationToken) : ChangeAsync(inner, static (store, token) => store.FlushAsync(token), cancellationToken);

    ValueTask ITrim.TrimAsync(long offset, long length, CancellationToken cancellationToken)
    {
        BackendRange.Check(Length, offset, length);
        return ChangeAsync((_trim!, offset, length), static (call, token) => call.Item1.TrimAsync(call.offset, call.length, token), cancellationToken);
    }

    ValueTask IZero.ZeroAsync(long offset, long length, ZeroMode mode, CancellationToken cancellationToken)
    {
        BackendRange.Check(Length, offset, length);
        return ChangeAsync((_zero!, offset, length, mode), static (call, token) => call.Item1.ZeroAsync(call.offset, call.length, call.mode, token), cancellationToken);
    }

    // Memory is lent for reading only; writing in place would go around the gate.
    public TCapability? GetCapability<TCapability>()
        where TCapability : class
    {
        if (typeof(TCapability) == typeof(ITrim))
            return _trim is null ? null : this as TCapability;
        if (typeof(TCapability) == typeof(IZero))
            return _zero is null ? null : this as TCapability;
        return typeof(TCapability) == typeof(IExtentSource) || typeof(TCapability) == typeof(IBlockSizes)
            || typeof(TCapability) == typeof(IConcurrentWriters) || typeof(TCapability) == typeof(IStateMaps) || typeof(TCapability) == typeof(IMemoryLender)
            ? inner.GetCapability<TCapability>()
            : null;
    }

    public ValueTask DisposeAsync() => default;

    private async ValueTask ChangeAsync<TCall>(TCall call, Func<TCall, CancellationToken, ValueTask> change, CancellationToken cancellationToken)
    {
        gate.Enter(session, epoch);
        try
        {
            await change(call, cancellationToken);
        }
        finally
        {
            gate.Exit();
        }
    }

    private async ValueTask LeavingAsync(ValueTask change)
    {
        try
        {
            await change;
        }
        finally
        {
            gate.Exit();
        }
    }
}
