using Farspan.Backends;

namespace Farspan.Migration;

/// <summary>
/// A backend that stands for another one, which may be replaced by one of the same store while nothing uses it, and is not owned. Lends no memory:
/// loans would have to be given back to whom they came from.
/// </summary>
internal sealed class SwitchedBackend(IBackend backend) : IBackend, ITrim, IZero, IExtentSource
{
    private volatile IBackend _backend = backend;

    /// <summary>What it stands for.</summary>
    public IBackend Backend
    {
        get => _backend;
        set => _backend = value;
    }

    public long Length => _backend.Length;

    public bool IsReadOnly => _backend.IsReadOnly;

    bool IZero.CanZeroFast => Power<IZero>().CanZeroFast;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default) => _backend.ReadAsync(offset, buffer, cancellationToken);

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        => _backend.WriteAsync(offset, buffer, cancellationToken);

    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => _backend.FlushAsync(cancellationToken);

    ValueTask ITrim.TrimAsync(long offset, long length, CancellationToken cancellationToken) => Power<ITrim>().TrimAsync(offset, length, cancellationToken);

    ValueTask IZero.ZeroAsync(long offset, long length, ZeroMode mode, CancellationToken cancellationToken)
        => Power<IZero>().ZeroAsync(offset, length, mode, cancellationToken);

    ValueTask IExtentSource.ListExtentsAsync(long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken)
        => Power<IExtentSource>().ListExtentsAsync(offset, length, limit, extents, cancellationToken);

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
    {
        if (typeof(TCapability) == typeof(ITrim) || typeof(TCapability) == typeof(IZero) || typeof(TCapability) == typeof(IExtentSource))
            return _backend.GetCapability<TCapability>() is null ? null : this as TCapability;
        return typeof(TCapability) == typeof(IBlockSizes) || typeof(TCapability) == typeof(IConcurrentWriters) ? _backend.GetCapability<TCapability>() : null;
    }

    public ValueTask DisposeAsync() => default;

    private TCapability Power<TCapability>()
        where TCapability : class
        => _backend.GetCapability<TCapability>() ?? throw new NotSupportedException($"The store has no {typeof(TCapability).Name}.");
}
