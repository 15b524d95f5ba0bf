using System.Numerics;
using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Stages;

/// <summary>
/// Refuses, with <see cref="BackendError.Invalid"/>, every request whose offset or length is no multiple of the minimum, and every read or
/// write over the maximum; and tells these sizes by <see cref="IBlockSizes"/>. A range that ends where the backend ends may be shorter.
/// </summary>
/// <remarks>What passes goes down untouched. Thread-safe.</remarks>
public sealed class AlignmentGuardStage : Stage, ITrim, IZero, IBlockSizes, IMemoryLender
{
    private readonly ITrim? _trim;
    private readonly IZero? _zero;
    private readonly IMemoryLender? _lender;
    private readonly ChunkLayout _layout;

    /// <summary>Wraps <paramref name="inner"/>.</summary>
    /// <exception cref="ArgumentException">The sizes break the rules of <see cref="Backends.BlockSizes"/>.</exception>
    public AlignmentGuardStage(IBackend inner, BlockSizes sizes)
        : base(inner)
    {
        if (sizes.Minimum > 64 << 10)
            throw new ArgumentException($"The minimum, {sizes.Minimum}, is over 64 KiB.", nameof(sizes));
        _layout = new ChunkLayout(inner.Length, sizes.Minimum);
        if (!BitOperations.IsPow2(sizes.Preferred) || sizes.Preferred < Math.Max(sizes.Minimum, 512))
            throw new ArgumentException($"The preferred size, {sizes.Preferred}, is no power of two from {Math.Max(sizes.Minimum, 512)} on.", nameof(sizes));
        if (sizes.Maximum < sizes.Minimum || sizes.Maximum % sizes.Minimum != 0)
            throw new ArgumentException($"The largest request, {sizes.Maximum}, is no multiple of {sizes.Minimum}.", nameof(sizes));
        BlockSizes = sizes;
        _trim = inner.GetCapability<ITrim>();
        _zero = inner.GetCapability<IZero>();
        _lender = inner.GetCapability<IMemoryLender>();
    }

    /// <inheritdoc/>
    public BlockSizes BlockSizes { get; }

    /// <inheritdoc/>
    bool IZero.CanZeroFast => _zero?.CanZeroFast ?? false;

    /// <inheritdoc/>
    public override ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Check("Reading", offset, buffer.Length, BlockSizes.Maximum);
        return Inner.ReadAsync(offset, buffer, cancellationToken);
    }

    /// <inheritdoc/>
    public override ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Check("Writing", offset, buffer.Length, BlockSizes.Maximum);
        return Inner.WriteAsync(offset, buffer, cancellationToken);
    }

    /// <inheritdoc/>
    ValueTask ITrim.TrimAsync(long offset, long length, CancellationToken cancellationToken)
    {
        Check("Trimming", offset, length, long.MaxValue);
        return _trim!.TrimAsync(offset, length, cancellationToken);
    }

    /// <inheritdoc/>
    ValueTask IZero.ZeroAsync(long offset, long length, ZeroMode mode, CancellationToken cancellationToken)
    {
        Check("Zeroing", offset, length, long.MaxValue);
        return _zero!.ZeroAsync(offset, length, mode, cancellationToken);
    }

    /// <inheritdoc/>
    bool IMemoryLender.TryLend(long offset, int length, out LentMemory lent)
    {
        BackendRange.Check(_layout.Length, offset, length);
        if (_layout.IsWhole(offset, length))
            return _lender!.TryLend(offset, Math.Min(length, BlockSizes.Maximum), out lent);
        lent = default;
        return false;
    }

    /// <inheritdoc/>
    public override TCapability? GetCapability<TCapability>()
        where TCapability : class
    {
        if (typeof(TCapability) == typeof(IBlockSizes))
            return this as TCapability;
        if (typeof(TCapability) == typeof(ITrim))
            return _trim is null ? null : this as TCapability;
        if (typeof(TCapability) == typeof(IZero))
            return _zero is null ? null : this as TCapability;
        if (typeof(TCapability) == typeof(IMemoryLender))
            return _lender is null ? null : this as TCapability;
        return typeof(TCapability) == typeof(IExtentSource) || typeof(TCapability) == typeof(IConcurrentWriters)
            ? Inner.GetCapability<TCapability>()
            : null;
    }

    private void Check(string verb, long offset, long length, long maximum)
    {
        BackendRange.Check(_layout.Length, offset, length);
        if (!_layout.IsWhole(offset, length))
        {
            throw new BackendException(
                BackendError.Invalid, $"{verb} {length} bytes at {offset} is refused: offset and length must be multiples of {BlockSizes.Minimum}.");
        }

        if (length > maximum)
            throw new BackendException(BackendError.Invalid, $"{verb} {length} bytes at {offset} is refused: the most at a time is {maximum}.");
    }
}
