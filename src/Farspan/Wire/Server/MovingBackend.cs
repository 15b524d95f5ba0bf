using Farspan.Backends;

namespace Farspan.Wire.Server;

/// <summary>What stands for the backend of an export that is a region being moved: only its length can be had.</summary>
internal sealed class MovingBackend(long length) : IBackend
{
    public long Length => length;

    public bool IsReadOnly => true;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default) => throw Refusal();

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => throw Refusal();

    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => throw Refusal();

    public TCapability? GetCapability<TCapability>()
        where TCapability : class => null;

    public ValueTask DisposeAsync() => default;

    private static BackendException Refusal() => new(BackendError.NotSupported, ServedRegion.IsBeingMoved);
}
