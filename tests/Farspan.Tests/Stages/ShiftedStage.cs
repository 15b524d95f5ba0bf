using Farspan.Backends;
using Farspan.Stages;

namespace Farspan.Tests.Stages;

/// <summary>Shows <paramref name="length"/> bytes whose first is the one at <paramref name="start"/> below; a negative start puts what is below far out.</summary>
internal sealed class ShiftedStage(IBackend inner, long start, long length) : Stage(inner), ITrim, IZero, IExtentSource
{
    public override long Length => length;

    bool IZero.CanZeroFast => Inner.GetCapability<IZero>()!.CanZeroFast;

    public override ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(length, offset, buffer.Length);
        return Inner.ReadAsync(start + offset, buffer, cancellationToken);
    }

    public override ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(length, offset, buffer.Length);
        return Inner.WriteAsync(start + offset, buffer, cancellationToken);
    }

    ValueTask ITrim.TrimAsync(long offset, long length, CancellationToken cancellationToken)
        => Inner.GetCapability<ITrim>()!.TrimAsync(start + offset, length, cancellationToken);

    ValueTask IZero.ZeroAsync(long offset, long length, ZeroMode mode, CancellationToken cancellationToken)
        => Inner.GetCapability<IZero>()!.ZeroAsync(start + offset, length, mode, cancellationToken);

    async ValueTask IExtentSource.ListExtentsAsync(
        long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken)
    {
        var below = new List<Extent>();
        await Inner.GetCapability<IExtentSource>()!.ListExtentsAsync(start + offset, length, limit, below, cancellationToken);
        foreach (var extent in below)
            extents.Add(extent with { Offset = extent.Offset - start });
    }

    public override TCapability? GetCapability<TCapability>()
        where TCapability : class
        => typeof(TCapability) == typeof(ITrim) || typeof(TCapability) == typeof(IZero) || typeof(TCapability) == typeof(IExtentSource)
            ? this as TCapability
            : null;
}
