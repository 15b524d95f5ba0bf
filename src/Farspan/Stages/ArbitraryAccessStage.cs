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
public sealed class ArbitraryAccessStage : ChunkedStage, IExtentSource, IMemoryLender
{
    private readonly ITrim? _trim;
    private readonly IExtentSource? _extents;
    private readonly IMemoryLender? _lender;

    /// <summary>Wraps <paramref name="inner"/>; without <paramref name="options"/> as it says of itself by <see cref="IBlockSizes"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its bounds.</exception>
    public ArbitraryAccessStage(IBackend inner, ArbitraryAccessOptions? options = null)
        : base(inner, (options ?? ArbitraryAccessOptions.For(inner)).ToPlan())
    {
        _trim = inner.GetCapability<ITrim>();
        _extents = inner.GetCapability<IExtentSource>();
        _lender = inner.GetCapability<IMemoryLender>();
    }

    /// <inheritdoc/>
    async ValueTask IExtentSource.ListExtentsAsync(
        long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken)
    {
        BackendRange.Check(Layout.Length, offset, length);
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        if (length == 0)
            return;
        long start = Layout.AlignDown(offset);
        long end = offset + length;
        var whole = new List<Extent>();

        // At most one extent a byte lies before the range: asking for that many more leaves as many as are wanted inside it.
        int enough = (int)Math.Min(int.MaxValue, limit + (offset - start));
        await _extents!.ListExtentsAsync(start, Layout.AlignUp(end) - start, enough, whole, cancellationToken);
        foreach (var extent in whole)
        {
            long from = Math.Max(extent.Offset, offset);
            long to = Math.Min(extent.Offset + extent.Length, end);
            if (from < to && limit-- > 0)
                extents.Add(extent with { Offset = from, Length = to - from });
        }
    }

    /// <inheritdoc/>
    bool IMemoryLender.TryLend(long offset, int length, out LentMemory lent)
    {
        BackendRange.Check(Layout.Length, offset, length);
        long start = Layout.AlignDown(offset);
        int lead = (int)(offset - start);
        if (!_lender!.TryLend(start, (int)Math.Min(Layout.AlignUp(offset + length) - start, MaximumRun), out lent))
            return false;
        if (length > 0 && lent.Memory.Length > lead)
        {
            lent = lent.Slice(lead, Math.Min(length, lent.Memory.Length - lead));
            return true;
        }

        lent.Dispose();
        lent = default;
        return false;
    }

    /// <inheritdoc/>
    public override TCapability? GetCapability<TCapability>()
        where TCapability : class
    {
        if (typeof(TCapability) == typeof(ITrim))
            return _trim is null ? null : this as TCapability;
        if (typeof(TCapability) == typeof(IZero))
            return InnerZero is null ? null : this as TCapability;
        if (typeof(TCapability) == typeof(IExtentSource))
            return _extents is null ? null : this as TCapability;
        if (typeof(TCapability) == typeof(IBlockSizes))
            return this as TCapability;
        if (typeof(TCapability) == typeof(IMemoryLender))
            return _lender is null ? null : this as TCapability;
        return typeof(TCapability) == typeof(IConcurrentWriters) ? Inner.GetCapability<TCapability>() : null;
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();

        // A disposed backend answers what is still on its way.
        await EndUnderWayAsync();
    }

    private protected override ValueTask ReadWholeAsync(ChunkPiece piece, Memory<byte> target, CancellationToken cancellationToken)
        => Inner.ReadAsync(piece.Offset, target, cancellationToken);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private protected override async ValueTask ReadPartAsync(ChunkPiece piece, Memory<byte> target, CancellationToken cancellationToken)
    {
        var hold = await HoldAsync(piece, exclusive: false, cancellationToken);
        int length = Layout.LengthOf(hold.FirstChunk);
        byte[]? chunk = null;
        try
        {
            chunk = ArrayPool<byte>.Shared.Rent(length);
            await Inner.ReadAsync(Layout.OffsetOf(hold.FirstChunk), chunk.AsMemory(0, length), cancellationToken);
            PartOf(chunk, piece).CopyTo(target.Span);
        }
        finally
        {
            Release(hold, chunk);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private protected override async ValueTask WriteWholeAsync(ChunkPiece piece, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        var hold = await HoldAsync(piece, exclusive: false, cancellationToken);
        try
        {
            await Inner.WriteAsync(piece.Offset, source, cancellationToken);
        }
        finally
        {
            Locks.Release(hold);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private protected override async ValueTask WritePartAsync(ChunkPiece piece, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        var hold = await HoldAsync(piece, exclusive: true, cancellationToken);
        long start = Layout.OffsetOf(hold.FirstChunk);
        int length = Layout.LengthOf(hold.FirstChunk);
        byte[]? chunk = null;
        bool handedOver = false;
        try
        {
            chunk = ArrayPool<byte>.Shared.Rent(length);
            await Inner.ReadAsync(start, chunk.AsMemory(0, length), cancellationToken);
            if (source.IsEmpty)
                PartOf(chunk, piece).Clear();
            else
                source.Span.CopyTo(PartOf(chunk, piece));
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

    private protected override async ValueTask TrimWholeAsync(ChunkPiece piece, CancellationToken cancellationToken)
    {
        var hold = await HoldAsync(piece, exclusive: false, cancellationToken);
        try
        {
            await _trim!.TrimAsync(piece.Offset, piece.Length, cancellationToken);
        }
        finally
        {
            Locks.Release(hold);
        }
    }

    private protected override async ValueTask ZeroWholeAsync(ChunkPiece piece, ZeroMode mode, CancellationToken cancellationToken)
    {
        var hold = await HoldAsync(piece, exclusive: false, cancellationToken);
        try
        {
            await InnerZero!.ZeroAsync(piece.Offset, piece.Length, mode, cancellationToken);
        }
        finally
        {
            Locks.Release(hold);
        }
    }

    private void Release(RangeHold hold, byte[]? chunk)
    {
        Locks.Release(hold);
        if (chunk is not null)
            ArrayPool<byte>.Shared.Return(chunk);
    }
}
