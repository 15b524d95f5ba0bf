using Farspan.Backends;

namespace Farspan.Wire.Client;

/// <summary>The client's backend as the owner of a lease sees it: every change carries the epoch. Thread-safe.</summary>
internal sealed class LeasedBackend(FarspanClientBackend client, long epoch) : IBackend, ITrim, IZero
{
    public long Length => client.Length;

    public bool IsReadOnly => client.IsReadOnly;

    bool IZero.CanZeroFast => client.CanZeroFast;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => client.ReadAsync(offset, buffer, cancellationToken);

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        => client.WriteAsync(offset, buffer, epoch, cancellationToken);

    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => client.FlushAsync(epoch, cancellationToken);

    ValueTask ITrim.TrimAsync(long offset, long length, CancellationToken cancellationToken)
        => client.TrimAsync(offset, length, epoch, cancellationToken);

    ValueTask IZero.ZeroAsync(long offset, long length, ZeroMode mode, CancellationToken cancellationToken)
        => client.ZeroAsync(offset, length, mode, epoch, cancellationToken);

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
    {
        if (typeof(TCapability) == typeof(ITrim) || typeof(TCapability) == typeof(IZero))
            return client.GetCapability<TCapability>() is null ? null : this as TCapability;
        return typeof(TCapability) == typeof(ILeasing) ? null : client.GetCapability<TCapability>();
    }

    public ValueTask DisposeAsync() => default;
}
