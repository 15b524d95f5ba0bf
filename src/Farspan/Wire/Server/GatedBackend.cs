using Farspan.Backends;

namespace Farspan.Wire.Server;

/// <summary>A served backend for writers without a lease. Every change goes through the export's gate. Thread-safe.</summary>
internal sealed class GatedBackend(ServedStore store) : IBackend, ITrim, IZero
{
    public long Length => store.Backend.Length;

    public bool IsReadOnly => store.Backend.IsReadOnly;

    bool IZero.CanZeroFast => store.Zero!.CanZeroFast;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => store.Backend.ReadAsync(offset, buffer, cancellationToken);

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        store.Gate.Enter(Guid.Empty, 0);
        return Leaving(Begin(() => store.Backend.WriteAsync(offset, buffer, cancellationToken)));
    }

    // It changes nothing, and those who wrote before a lease was given may still make it durable.
    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => store.Backend.FlushAsync(cancellationToken);

    ValueTask ITrim.TrimAsync(long offset, long length, CancellationToken cancellationToken)
    {
        BackendRange.Check(Length, offset, length);
        store.Gate.Enter(Guid.Empty, 0);
        return Leaving(Begin(() => store.Trim!.TrimAsync(offset, length, cancellationToken)));
    }

    ValueTask IZero.ZeroAsync(long offset, long length, ZeroMode mode, CancellationToken cancellationToken)
    {
        BackendRange.Check(Length, offset, length);
        store.Gate.Enter(Guid.Empty, 0);
        return Leaving(Begin(() => store.Zero!.ZeroAsync(offset, length, mode, cancellationToken)));
    }

    // Memory is lent for reading only; writing in place would go around the gate.
    public TCapability? GetCapability<TCapability>()
        where TCapability : class
    {
        if (typeof(TCapability) == typeof(ITrim))
            return store.Trim is null ? null : this as TCapability;
        if (typeof(TCapability) == typeof(IZero))
            return store.Zero is null ? null : this as TCapability;
        return typeof(TCapability) == typeof(IExtentSource) || typeof(TCapability) == typeof(IBlockSizes)
            || typeof(TCapability) == typeof(IConcurrentWriters) || typeof(TCapability) == typeof(IMemoryLender)
            ? store.Backend.GetCapability<TCapability>()
            : null;
    }

    public ValueTask DisposeAsync() => default;

    private static ValueTask Begin(Func<ValueTask> call)
    {
        try
        {
            return call();
        }
        catch (Exception error)
        {
            return ValueTask.FromException(error);
        }
    }

    private ValueTask Leaving(ValueTask change)
    {
        if (!change.IsCompletedSuccessfully)
            return LeavingLaterAsync(change);
        store.Gate.Exit();
        return default;
    }

    private async ValueTask LeavingLaterAsync(ValueTask change)
    {
        try
        {
            await change;
        }
        finally
        {
            store.Gate.Exit();
        }
    }
}
