using System.Runtime.CompilerServices;
using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Stages;

/// <summary>
/// A stage that goes to the backend below in whole chunks only: it cuts every request into runs of whole chunks and parts of chunks, and has
/// several of them under way at once.
/// </summary>
public abstract class ChunkedStage : Stage, ITrim, IZero, IBlockSizes
{
    private readonly ChunkedPlan _plan;
    private int _closed;

    private protected ChunkedStage(IBackend inner, ChunkedPlan plan)
        : base(inner)
    {
        Layout = new ChunkLayout(inner.Length, plan.ChunkSize);
        _plan = plan;
        InnerZero = inner.GetCapability<IZero>();
        int preferred = inner.GetCapability<IBlockSizes>()?.BlockSizes.Preferred ?? BlockSizes.Default.Preferred;
        BlockSizes = BlockSizes.Default with { Preferred = Math.Max(plan.ChunkSize, preferred) };
    }

    /// <inheritdoc/>
    public BlockSizes BlockSizes { get; }

    /// <inheritdoc/>
    bool IZero.CanZeroFast => InnerZero?.CanZeroFast ?? false;

    private protected ChunkLayout Layout { get; }

    private protected int MaximumRun => _plan.MaximumRun;

    private protected ChunkRangeLock Locks { get; } = new();

    private protected IZero? InnerZero { get; }

    /// <inheritdoc/>
    public override ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Layout.Length, offset, buffer.Length);
        return buffer.IsEmpty
            ? NothingAsync(cancellationToken)
            : FanOut.RunAsync<ReadJob, ChunkPiece>(new ReadJob(this, offset, buffer), _plan.Width, cancellationToken);
    }

    /// <inheritdoc/>
    public override ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Layout.Length, offset, buffer.Length);
        if (IsReadOnly)
            return Inner.WriteAsync(offset, buffer, cancellationToken);
        return buffer.IsEmpty
            ? NothingAsync(cancellationToken)
            : FanOut.RunAsync<WriteJob, ChunkPiece>(new WriteJob(this, offset, buffer), _plan.Width, cancellationToken);
    }

    /// <inheritdoc/>
    ValueTask ITrim.TrimAsync(long offset, long length, CancellationToken cancellationToken)
    {
        BackendRange.Check(Layout.Length, offset, length);
        long start = Layout.AlignUp(offset);
        long end = offset + length == Layout.Length ? offset + length : Layout.AlignDown(offset + length);
        return start < end ? TrimWholeAsync(new ChunkPiece(start, end - start, IsWhole: true), cancellationToken) : NothingAsync(cancellationToken);
    }

    /// <inheritdoc/>
    ValueTask IZero.ZeroAsync(long offset, long length, ZeroMode mode, CancellationToken cancellationToken)
    {
        BackendRange.Check(Layout.Length, offset, length);
        if (mode.HasFlag(ZeroMode.FastOnly) && length > 0 && !Layout.IsWhole(offset, length))
        {
            throw new BackendException(
                BackendError.NotSupported, $"Zeroing {length} bytes at {offset} is not fast: they are no whole chunks of {Layout.ChunkSize} bytes.");
        }

        return FanOut.RunAsync<ZeroJob, ChunkPiece>(new ZeroJob(this, offset, length, mode), _plan.Width, cancellationToken);
    }

    /// <inheritdoc/>
    public override ValueTask DisposeAsync()
    {
        TryClose();
        GC.SuppressFinalize(this);
        return base.DisposeAsync();
    }

    private protected abstract ValueTask ReadWholeAsync(ChunkPiece piece, Memory<byte> target, CancellationToken cancellationToken);

    private protected abstract ValueTask ReadPartAsync(ChunkPiece piece, Memory<byte> target, CancellationToken cancellationToken);

    private protected abstract ValueTask WriteWholeAsync(ChunkPiece piece, ReadOnlyMemory<byte> source, CancellationToken cancellationToken);

    /// <summary>Writes <paramref name="source"/>, or zeroes where it is empty.</summary>
    private protected abstract ValueTask WritePartAsync(ChunkPiece piece, ReadOnlyMemory<byte> source, CancellationToken cancellationToken);

    private protected abstract ValueTask ZeroWholeAsync(ChunkPiece piece, ZeroMode mode, CancellationToken cancellationToken);

    private protected abstract ValueTask TrimWholeAsync(ChunkPiece piece, CancellationToken cancellationToken);

    /// <summary>Holds the chunks of a piece.</summary>
    /// <exception cref="ObjectDisposedException">The stage was closed, meanwhile or before.</exception>
    private protected ValueTask<RangeHold> HoldAsync(ChunkPiece piece, bool exclusive, CancellationToken cancellationToken)
    {
        var hold = Locks.AcquireAsync(Layout.IndexOf(piece.Offset), Layout.IndexOf(piece.Offset + piece.Length - 1), exclusive, cancellationToken);
        return hold.IsCompletedSuccessfully && Volatile.Read(ref _closed) == 0 ? hold : CheckHoldAsync(hold);
    }

    /// <summary>Lets nothing more begin; false where that was so.</summary>
    private protected bool TryClose() => Interlocked.Exchange(ref _closed, 1) == 0;

    /// <summary>Waits until nothing holds a chunk: what began before the stage was closed, and writes whose callers were cancelled.</summary>
    private protected async ValueTask EndUnderWayAsync()
        => Locks.Release(await Locks.AcquireAsync(0, long.MaxValue, exclusive: true, CancellationToken.None));

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<RangeHold> CheckHoldAsync(ValueTask<RangeHold> acquiring)
    {
        var hold = await acquiring;
        if (Volatile.Read(ref _closed) == 0)
            return hold;
        Locks.Release(hold);
        throw new ObjectDisposedException(GetType().FullName);
    }

    /// <summary>The part of a buffered chunk that a piece covers.</summary>
    private protected Span<byte> PartOf(byte[] chunk, ChunkPiece piece)
        => chunk.AsSpan((int)(piece.Offset - Layout.AlignDown(piece.Offset)), (int)piece.Length);

    /// <summary>What has no chunk to go down with still ends with the stage and with its token.</summary>
    private ValueTask NothingAsync(CancellationToken cancellationToken)
    {
        ObjectDisposedException.ThrowIf(_closed != 0, this);
        return cancellationToken.IsCancellationRequested ? ValueTask.FromCanceled(cancellationToken) : default;
    }

    private struct ReadJob(ChunkedStage stage, long offset, Memory<byte> buffer) : IPieceJob<ChunkPiece>
    {
        private ChunkSplitter _pieces = new(stage.Layout, offset, buffer.Length, stage._plan.MaximumRun);

        public bool TryTake(out ChunkPiece piece) => _pieces.TryTake(out piece);

        public readonly ValueTask RunAsync(ChunkPiece piece, CancellationToken cancellationToken)
        {
            var part = buffer.Slice((int)(piece.Offset - offset), (int)piece.Length);
            return piece.IsWhole ? stage.ReadWholeAsync(piece, part, cancellationToken) : stage.ReadPartAsync(piece, part, cancellationToken);
        }
    }

    private struct WriteJob(ChunkedStage stage, long offset, ReadOnlyMemory<byte> buffer) : IPieceJob<ChunkPiece>
    {
        private ChunkSplitter _pieces = new(stage.Layout, offset, buffer.Length, stage._plan.MaximumRun);

        public bool TryTake(out ChunkPiece piece) => _pieces.TryTake(out piece);

        public readonly ValueTask RunAsync(ChunkPiece piece, CancellationToken cancellationToken)
        {
            var part = buffer.Slice((int)(piece.Offset - offset), (int)piece.Length);
            return piece.IsWhole ? stage.WriteWholeAsync(piece, part, cancellationToken) : stage.WritePartAsync(piece, part, cancellationToken);
        }
    }

    private struct ZeroJob(ChunkedStage stage, long offset, long length, ZeroMode mode) : IPieceJob<ChunkPiece>
    {
        private ChunkSplitter _pieces = new(stage.Layout, offset, length, long.MaxValue);

        public bool TryTake(out ChunkPiece piece) => _pieces.TryTake(out piece);

        public readonly ValueTask RunAsync(ChunkPiece piece, CancellationToken cancellationToken)
            => piece.IsWhole
                ? stage.ZeroWholeAsync(piece, mode, cancellationToken)
                : stage.WritePartAsync(piece, ReadOnlyMemory<byte>.Empty, cancellationToken);
    }
}
