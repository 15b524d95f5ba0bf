using Farspan.Backends;

namespace Farspan.TestKit.Simulation;

/// <summary>A remote as a <see cref="SimulatedProcess"/> sees it.</summary>
internal sealed class ProcessBackend(SimulatedProcess process, IBackend inner) : IBackend, ITrim, IZero, IExtentSource
{
    public long Length => inner.Length;

    public bool IsReadOnly => inner.IsReadOnly;

    public bool CanZeroFast => inner.GetCapability<IZero>()!.CanZeroFast;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => process.ReturnAsync(() => inner.ReadAsync(offset, buffer, cancellationToken));

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        => process.ReturnAsync(() => inner.WriteAsync(offset, buffer, cancellationToken));

    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => process.ReturnAsync(() => inner.FlushAsync(cancellationToken));

    public ValueTask TrimAsync(long offset, long length, CancellationToken cancellationToken = default)
        => process.ReturnAsync(() => inner.GetCapability<ITrim>()!.TrimAsync(offset, length, cancellationToken));

    public ValueTask ZeroAsync(long offset, long length, ZeroMode mode = ZeroMode.None, CancellationToken cancellationToken = default)
        => process.ReturnAsync(() => inner.GetCapability<IZero>()!.ZeroAsync(offset, length, mode, cancellationToken));

    public ValueTask ListExtentsAsync(long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken = default)
        => process.ReturnAsync(() => inner.GetCapability<IExtentSource>()!.ListExtentsAsync(offset, length, limit, extents, cancellationToken));

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => inner.GetCapability<TCapability>() is null ? null : this as TCapability;

    public ValueTask DisposeAsync() => default;
}
