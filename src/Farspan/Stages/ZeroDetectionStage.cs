using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Stages;

/// <summary>
/// Turns what is zero in a write into zeroing, where the backend below has <see cref="IZero"/>: the whole write, or runs inside it. Nothing is
/// sent for the zeroes, and storage may be given up. Where there is no zeroing below, writes pass.
/// </summary>
/// <remarks>Reading and all powers pass through. A write without zeroes costs one look at each granule. Thread-safe.</remarks>
public sealed class ZeroDetectionStage : Stage
{
    private readonly ZeroDetectionOptions _options;
    private readonly int? _granule;
    private readonly IZero? _zero;

    /// <summary>Wraps <paramref name="inner"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its bounds.</exception>
    public ZeroDetectionStage(IBackend inner, ZeroDetectionOptions? options = null)
        : base(inner)
    {
        _options = options ?? new ZeroDetectionOptions();
        _options.Validate();
        _zero = inner.GetCapability<IZero>();

        // A run that begins or ends between two of its blocks is one that the backend below would refuse.
        int minimum = inner.GetCapability<IBlockSizes>()?.BlockSizes.Minimum ?? 1;
        _granule = _options.Granule is { } granule ? Math.Max(granule, minimum) : null;
    }

    /// <inheritdoc/>
    public override ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (_zero is null || buffer.Length < (_granule ?? 1))
            return Inner.WriteAsync(offset, buffer, cancellationToken);
        BackendRange.Check(Length, offset, buffer.Length);
        if (!buffer.Span.ContainsAnyExcept((byte)0))
            return ZeroAsync(offset, buffer, cancellationToken);
        return _granule is { } granule
            ? FanOut.RunAsync<WriteJob, ZeroRun>(new WriteJob(this, offset, buffer, granule), _options.Concurrency, cancellationToken)
            : Inner.WriteAsync(offset, buffer, cancellationToken);
    }

    /// <inheritdoc/>
    public override TCapability? GetCapability<TCapability>()
        where TCapability : class
        => typeof(TCapability) == typeof(ITrim) || typeof(TCapability) == typeof(IZero) || typeof(TCapability) == typeof(IExtentSource)
            || typeof(TCapability) == typeof(IBlockSizes) || typeof(TCapability) == typeof(IConcurrentWriters)
            || typeof(TCapability) == typeof(IMemoryLender)
            ? Inner.GetCapability<TCapability>()
            : null;

    private async ValueTask ZeroAsync(long offset, ReadOnlyMemory<byte> zeroes, CancellationToken cancellationToken)
    {
        try
        {
            await _zero!.ZeroAsync(offset, zeroes.Length, _options.Mode, cancellationToken);
        }
        catch (BackendException refusal) when (refusal.Error == BackendError.NotSupported)
        {
            await Inner.WriteAsync(offset, zeroes, cancellationToken);
        }
    }

    private struct WriteJob(ZeroDetectionStage stage, long offset, ReadOnlyMemory<byte> buffer, int granule) : IPieceJob<ZeroRun>
    {
        private ZeroRunSplitter _runs = new(offset, buffer, granule, stage._options.MinimumRun);

        public bool TryTake(out ZeroRun piece) => _runs.TryTake(out piece);

        public readonly ValueTask RunAsync(ZeroRun piece, CancellationToken cancellationToken)
        {
            var part = buffer.Slice(piece.Start, piece.Length);
            return piece.IsZero
                ? stage.ZeroAsync(offset + piece.Start, part, cancellationToken)
                : stage.Inner.WriteAsync(offset + piece.Start, part, cancellationToken);
        }
    }
}
