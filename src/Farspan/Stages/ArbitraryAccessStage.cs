using System.Buffers;
using System.Runtime.CompilerServices;
using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Stages;

/// <summary>
/// Gives access at any offset and length to a backend that takes only whole chunks. Chunks of one request are under way at once; a part of a
/// chunk is written by reading the chunk, changing it and writing it back, under a lock on that chunk.
/// </summary>
/// <remarks>
/// <para>Writes to different bytes of one chunk never lose each other, and a read never sees a neighbour's write in halves: parts of a chunk
/// are written exclusively, whole chunks and reads of parts go together. Requests that meet in no chunk never wait for each other.</para>
/// <para>A write of a part is not cancelled once its chunk is on the way down, since the store might carry it out later, over a neighbour's
/// bytes. The cancelled caller is released at once; the chunk stays locked until the store has answered.</para>
/// <para>A trim leaves parts of chunks as they are. Thread-safe.</para>
/// </remarks>
public sealed class ArbitraryAccessStage : Stage, ITrim, IZero, IExtentSource, IBlockSizes
{
    private readonly ChunkLayout _layout;
    private readonly int _maximumRun;
    private readonly int _width;
    private readonly ChunkRangeLock _locks = new();
    private readonly ITrim? _trim;
    private readonly IZero? _zero;
    private readonly IExtentSource? _extents;

    /// <summary>Wraps <paramref name="inner"/>; without <paramref name="options"/> as it says of itself by <see cref="IBlockSizes"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its bounds.</exception>
    public ArbitraryAccessStage(IBackend inner, ArbitraryAccessOptions? options = null)
        : base(inner)
    {
        options ??= ArbitraryAccessOptions.For(inner);
        options.Validate();
        _layout = new ChunkLayout(inner.Length, options.ChunkSize);
        _maximumRun = options.MaximumRequest == 0 ? options.ChunkSize : options.MaximumRequest;
        _width = options.Concurrency;
        _trim = inner.GetCapability<ITrim>();
        _zero = inner.GetCapability<IZero>();
        _extents = inner.GetCapability<IExtentSource>();
        int preferred = Math.Max(_layout.ChunkSize, inner.GetCapability<IBlockSizes>()?.BlockSizes.Preferred ?? BlockSizes.Default.Preferred);
        BlockSizes = BlockSizes.Default with { Preferred = preferred };
    }

    /// <inheritdoc/>
    public BlockSizes BlockSizes { get; }

    /// <inheritdoc/>
    bool IZero.CanZeroFast => _zero?.CanZeroFast ?? false;

    /// <inheritdoc/>
    public override ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(_layout.Length, offset, buffer.Length);
        return buffer.Length <= _maximumRun && _layout.IsWhole(offset, buffer.Length)
            ? Inner.ReadAsync(offset, buffer, cancellationToken)
            : FanOut.RunAsync<ReadJob, ChunkPiece>(new ReadJob(this, offset, buffer), _width, cancellationToken);
    }

    /// <inheritdoc/>
    public override ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(_layout.Length, offset, buffer.Length);
        return IsReadOnly || buffer.IsEmpty
            ? Inner.WriteAsync(offset, buffer, cancellationToken)
            : FanOut.RunAsync<WriteJob, ChunkPiece>(new WriteJob(this, offset, buffer), _width, cancellationToken);
    }

    /// <inheritdoc/>
    ValueTask ITrim.TrimAsync(long offset, long length, CancellationToken cancellationToken)
    {
        BackendRange.Check(_layout.Length, offset, length);
        long start = _layout.AlignUp(offset);
        long end = offset + length == _layout.Length ? offset + length : _layout.AlignDown(offset + length);
        return start < end ? TrimWholeAsync(start, end - start, cancellationToken) : default;
    }

    /// <inheritdoc/>
    ValueTask IZero.ZeroAsync(long offset, long length, ZeroMode mode, CancellationToken cancellationToken)
    {
        BackendRange.Check(_layout.Length, offset, length);
        if (mode.HasFlag(ZeroMode.FastOnly) && length > 0 && !_layout.IsWhole(offset, length))
        {
            throw new BackendException(
                BackendError.NotSupported, $"Zeroing {length} bytes at {offset} is not fast: they are no whole chunks of {_layout.ChunkSize} bytes.");
        }

        return FanOut.RunAsync<ZeroJob, ChunkPiece>(new ZeroJob(this, offset, length, mode), _width, cancellationToken);
    }

    /// <inheritdoc/>
    async ValueTask IExtentSource.ListExtentsAsync(
        long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken)
    {
        BackendRange.Check(_layout.Length, offset, length);
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        if (length == 0)
            return;
        long start = _layout.AlignDown(offset);
        long end = offset + length;
        var whole = new List<Extent>();

        // At most one extent a byte lies before the range: asking for that many more leaves as many as are wanted inside it.
        int enough = (int)Math.Min(int.MaxValue, limit + (offset - start));
        await _extents!.ListExtentsAsync(start, _layout.AlignUp(end) - start, enough, whole, cancellationToken);
        foreach (var extent in whole)
        {
            long from = Math.Max(extent.Offset, offset);
            long to = Math.Min(extent.Offset + extent.Length, end);
            if (from < to && limit-- > 0)
                extents.Add(extent with { Offset = from, Length = to - from });
        }
    }

    /// <inheritdoc/>
    public override TCapability? GetCapability<TCapability>()
        where TCapability : class
    {
        if (typeof(TCapability) == typeof(ITrim))
            return _trim is null ? null : this as TCapability;
        if (typeof(TCapability) == typeof(IZero))
            return _zero is null ? null : this as TCapability;
        if (typeof(TCapability) == typeof(IExtentSource))
            return _extents is null ? null : this as TCapability;
        if (typeof(TCapability) == typeof(IBlockSizes))
            return this as TCapability;
        return typeof(TCapability) == typeof(IConcurrentWriters) || typeof(TCapability) == typeof(IMemoryLender)
            ? Inner.GetCapability<TCapability>()
            : null;
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();

        // Writes whose callers were cancelled may still be on their way; a disposed backend answers them.
        _locks.Release(await _locks.AcquireAsync(0, long.MaxValue, exclusive: true, CancellationToken.None));
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask ReadPartAsync(ChunkPiece piece, Memory<byte> target, CancellationToken cancellationToken)
    {
        long index = _layout.IndexOf(piece.Offset);
        long start = _layout.OffsetOf(index);
        int length = _layout.LengthOf(index);
        var hold = await _locks.AcquireAsync(index, index, exclusive: false, cancellationToken);
        byte[]? chunk = null;
        try
        {
            chunk = ArrayPool<byte>.Shared.Rent(length);
            await Inner.ReadAsync(start, chunk.AsMemory(0, length), cancellationToken);
            chunk.AsSpan((int)(piece.Offset - start), target.Length).CopyTo(target.Span);
        }
        finally
        {
            Release(hold, chunk);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WriteWholeAsync(ChunkPiece piece, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        var hold = await HoldWholeAsync(piece.Offset, piece.Length, cancellationToken);
        try
        {
            await Inner.WriteAsync(piece.Offset, source, cancellationToken);
        }
        finally
        {
            _locks.Release(hold);
        }
    }

    /// <summary>Writes <paramref name="source"/>, or zeroes where it is empty, into a part of a chunk.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WritePartAsync(ChunkPiece piece, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        long index = _layout.IndexOf(piece.Offset);
        long start = _layout.OffsetOf(index);
        int length = _layout.LengthOf(index);
        var hold = await _locks.AcquireAsync(index, index, exclusive: true, cancellationToken);
        byte[]? chunk = null;
        bool handedOver = false;
        try
        {
            chunk = ArrayPool<byte>.Shared.Rent(length);
            await Inner.ReadAsync(start, chunk.AsMemory(0, length), cancellationToken);
            var part = chunk.AsSpan((int)(piece.Offset - start), (int)piece.Length);
            if (source.IsEmpty)
                part.Clear();
            else
                source.Span.CopyTo(part);
            var write = Inner.WriteAsync(start, chunk.AsMemory(0, length), CancellationToken.None);
            if (write.IsCompleted || !cancellationToken.CanBeCanceled)
            {
                await write;
                return;
            }

            handedOver = true;
            var finish = FinishWriteAsync(write, hold, chunk);
            _ = finish.ContinueWith(static done => done.Exception, TaskContinuationOptions.OnlyOnFaulted | TaskContinuationOptions.ExecuteSynchronously);
            await finish.WaitAsync(cancellationToken);
        }
        finally
        {
            if (!handedOver)
                Release(hold, chunk);
        }
    }

    private async Task FinishWriteAsync(ValueTask write, RangeHold hold, byte[] chunk)
    {
        try
        {
            await write;
        }
        finally
        {
            Release(hold, chunk);
        }
    }

    private async ValueTask TrimWholeAsync(long offset, long length, CancellationToken cancellationToken)
    {
        var hold = await HoldWholeAsync(offset, length, cancellationToken);
        try
        {
            await _trim!.TrimAsync(offset, length, cancellationToken);
        }
        finally
        {
            _locks.Release(hold);
        }
    }

    private async ValueTask ZeroWholeAsync(ChunkPiece piece, ZeroMode mode, CancellationToken cancellationToken)
    {
        var hold = await HoldWholeAsync(piece.Offset, piece.Length, cancellationToken);
        try
        {
            await _zero!.ZeroAsync(piece.Offset, piece.Length, mode, cancellationToken);
        }
        finally
        {
            _locks.Release(hold);
        }
    }

    private ValueTask<RangeHold> HoldWholeAsync(long offset, long length, CancellationToken cancellationToken)
        => _locks.AcquireAsync(_layout.IndexOf(offset), _layout.IndexOf(offset + length - 1), exclusive: false, cancellationToken);

    private void Release(RangeHold hold, byte[]? chunk)
    {
        _locks.Release(hold);
        if (chunk is not null)
            ArrayPool<byte>.Shared.Return(chunk);
    }

    private struct ReadJob(ArbitraryAccessStage stage, long offset, Memory<byte> buffer) : IPieceJob<ChunkPiece>
    {
        private ChunkSplitter _pieces = new(stage._layout, offset, buffer.Length, stage._maximumRun);

        public bool TryTake(out ChunkPiece piece) => _pieces.TryTake(out piece);

        public readonly ValueTask RunAsync(ChunkPiece piece, CancellationToken cancellationToken)
        {
            var part = buffer.Slice((int)(piece.Offset - offset), (int)piece.Length);
            return piece.IsWhole
                ? stage.Inner.ReadAsync(piece.Offset, part, cancellationToken)
                : stage.ReadPartAsync(piece, part, cancellationToken);
        }
    }

    private struct WriteJob(ArbitraryAccessStage stage, long offset, ReadOnlyMemory<byte> buffer) : IPieceJob<ChunkPiece>
    {
        private ChunkSplitter _pieces = new(stage._layout, offset, buffer.Length, stage._maximumRun);

        public bool TryTake(out ChunkPiece piece) => _pieces.TryTake(out piece);

        public readonly ValueTask RunAsync(ChunkPiece piece, CancellationToken cancellationToken)
        {
            var part = buffer.Slice((int)(piece.Offset - offset), (int)piece.Length);
            return piece.IsWhole
                ? stage.WriteWholeAsync(piece, part, cancellationToken)
                : stage.WritePartAsync(piece, part, cancellationToken);
        }
    }

    private struct ZeroJob(ArbitraryAccessStage stage, long offset, long length, ZeroMode mode) : IPieceJob<ChunkPiece>
    {
        private ChunkSplitter _pieces = new(stage._layout, offset, length, long.MaxValue);

        public bool TryTake(out ChunkPiece piece) => _pieces.TryTake(out piece);

        public readonly ValueTask RunAsync(ChunkPiece piece, CancellationToken cancellationToken)
            => piece.IsWhole
                ? stage.ZeroWholeAsync(piece, mode, cancellationToken)
                : stage.WritePartAsync(piece, ReadOnlyMemory<byte>.Empty, cancellationToken);
    }
}
