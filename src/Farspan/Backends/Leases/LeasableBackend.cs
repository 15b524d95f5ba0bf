namespace Farspan.Backends.Leases;

/// <summary>
/// A store of this machine whose lock this process holds, with a lease for one of its writers, kept beside the store. Disposing it disposes the
/// store.
/// </summary>
/// <remarks>
/// The lock keeps other processes out; the lease tells who comes back whether others have written meanwhile (docs/decisions/0081).
/// </remarks>
internal sealed class LeasableBackend(IBackend inner, LeaseGate gate) : IBackend, ILeasing
{
    private readonly GatedBackend _withoutLease = new(inner, gate);

    /// <summary>The store, for who has a gate of his own.</summary>
    public IBackend Inner => inner;

    /// <inheritdoc/>
    public long Length => inner.Length;

    /// <inheritdoc/>
    public bool IsReadOnly => inner.IsReadOnly;

    /// <inheritdoc/>
    public async ValueTask<ILease> AcquireAsync(string holder, Guid? key = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(holder);
        cancellationToken.ThrowIfCancellationRequested();
        return new LocalLease(inner, gate, await gate.AcquireAsync(Guid.NewGuid(), key ?? Guid.NewGuid(), holder));
    }

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => inner.ReadAsync(offset, buffer, cancellationToken);

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        => _withoutLease.WriteAsync(offset, buffer, cancellationToken);

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => inner.FlushAsync(cancellationToken);

    /// <inheritdoc/>
    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => typeof(TCapability) == typeof(ILeasing) || typeof(TCapability) == typeof(LeasableBackend)
            ? this as TCapability
            : _withoutLease.GetCapability<TCapability>();

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
