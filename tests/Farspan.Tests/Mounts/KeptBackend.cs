using Farspan.Backends;

namespace Farspan.Tests.Mounts;

/// <summary>A backend that outlives the mounts of it.</summary>
internal sealed class KeptBackend(IBackend inner) : IBackend
{
    public long Length => inner.Length;

    public bool IsReadOnly => inner.IsReadOnly;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => inner.ReadAsync(offset, buffer, cancellationToken);

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        => inner.WriteAsync(offset, buffer, cancellationToken);

    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => inner.FlushAsync(cancellationToken);

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => inner.GetCapability<TCapability>();

    public ValueTask DisposeAsync() => default;
}
