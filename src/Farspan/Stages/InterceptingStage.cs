using Farspan.Backends;

namespace Farspan.Stages;

/// <summary>
/// A stage that does the same thing around every call. Ranges are checked before <see cref="InterceptAsync"/> sees a call, and every power of
/// the backend below is carried, but lending, which no call goes through.
/// </summary>
public abstract class InterceptingStage : Stage, ITrim, IZero, IExtentSource
{
    private protected InterceptingStage(IBackend inner)
        : base(inner)
        => Below = new InnerBackend(inner);

    /// <inheritdoc/>
    bool IZero.CanZeroFast => Below.Zero?.CanZeroFast ?? false;

    private protected InnerBackend Below { get; }

    /// <inheritdoc/>
    public override ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        return InterceptAsync(StageCall.Read(offset, buffer), cancellationToken);
    }

    /// <inheritdoc/>
    public override ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        return InterceptAsync(StageCall.Write(offset, buffer), cancellationToken);
    }

    /// <inheritdoc/>
    public override ValueTask FlushAsync(CancellationToken cancellationToken = default)
        => InterceptAsync(StageCall.Flush(), cancellationToken);

    /// <inheritdoc/>
    ValueTask ITrim.TrimAsync(long offset, long length, CancellationToken cancellationToken)
    {
        BackendRange.Check(Length, offset, length);
        return InterceptAsync(StageCall.Trim(offset, length), cancellationToken);
    }

    /// <inheritdoc/>
    ValueTask IZero.ZeroAsync(long offset, long length, ZeroMode mode, CancellationToken cancellationToken)
    {
        BackendRange.Check(Length, offset, length);
        return InterceptAsync(StageCall.Zero(offset, length, mode), cancellationToken);
    }

    /// <inheritdoc/>
    ValueTask IExtentSource.ListExtentsAsync(
        long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken)
    {
        BackendRange.Check(Length, offset, length);
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        ArgumentNullException.ThrowIfNull(extents);
        return InterceptAsync(StageCall.ListExtents(offset, length, limit, extents), cancellationToken);
    }

    /// <inheritdoc/>
    public override TCapability? GetCapability<TCapability>()
        where TCapability : class
    {
        if (typeof(TCapability) == typeof(ITrim))
            return Below.Trim is null ? null : this as TCapability;
        if (typeof(TCapability) == typeof(IZero))
            return Below.Zero is null ? null : this as TCapability;
        if (typeof(TCapability) == typeof(IExtentSource))
            return Below.Extents is null ? null : this as TCapability;
        return typeof(TCapability) == typeof(IBlockSizes) || typeof(TCapability) == typeof(IConcurrentWriters)
            ? Inner.GetCapability<TCapability>()
            : null;
    }

    /// <summary>Makes the call below, with what the stage adds.</summary>
    private protected abstract ValueTask InterceptAsync(in StageCall call, CancellationToken cancellationToken);
}
