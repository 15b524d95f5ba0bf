using Farspan.Backends;

namespace Farspan.Nbd.Tests.Server;

/// <summary>Says yes to everything, at once, over as many bytes as there can be.</summary>
internal sealed class BottomlessBackend : IBackend
{
    public long Length => long.MaxValue;

    public bool IsReadOnly => false;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default) => default;

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => default;

    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => default;

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => null;

    public ValueTask DisposeAsync() => default;
}
