using Farspan.Backends;

namespace Farspan.Nbd.Tests.Server;

/// <summary>Tells two extents where one was asked for.</summary>
internal sealed class TalkativeBackend : IBackend, IExtentSource
{
    public long Length => 1024;

    public bool IsReadOnly => false;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default) => default;

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => default;

    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => default;

    public ValueTask ListExtentsAsync(
        long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken = default)
    {
        extents.Add(new Extent(offset, 512, ExtentKind.Data));
        extents.Add(new Extent(offset + 512, 512, ExtentKind.Hole));
        return default;
    }

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => this as TCapability;

    public ValueTask DisposeAsync() => default;
}
