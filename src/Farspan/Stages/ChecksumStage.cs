using System.Buffers;
using System.Runtime.CompilerServices;
using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Stages;

/// <summary>
/// Keeps a CRC-32C of every chunk and compares it whenever the chunk is read: bytes that are not what was written end in
/// <see cref="BackendError.Corrupt"/>. What was never written reads as zero and is compared as well.
/// </summary>
/// <remarks>
/// <para>The backend below is read and written in whole chunks only, whatever is asked for, under locks: readers of a chunk together, writers
/// alone. A write is not cancelled once it is on its way down, since the checksum has to follow it. Where a write fails nobody knows
/// which bytes its chunks hold; they are believed when they are read next. A part of a corrupt chunk cannot be written, a whole one can.</para>
/// <para>Without a side backend the checksums end with the stage. With one, a completed flush makes them durable together with the data. Data
/// and checksums do not become durable in one step, and so the stage marks, durably, each run of 1024 chunks before it first writes into it,
/// and takes the marks back when it is disposed. After a crash the chunks in marked runs are in doubt: each is believed when it is read next, and
/// what was corrupted in it until then is not found. <see cref="SettleAsync"/> reads them all. Everything else is compared as ever.</para>
/// <para>A trim is done as a zero, since what a trim leaves cannot be known; without zeroing below there is none. Nothing is lent.
/// Thread-safe.</para>
/// </remarks>
public sealed class ChecksumStage : ChunkedStage
{
    private readonly ChecksumTable _table;
    private ChecksumSide? _side;

    private ChecksumStage(IBackend inner, ChunkedPlan plan)
        : base(inner, plan)
        => _table = new ChecksumTable(Layout);

    /// <summary>The bytes that a side backend needs for a backend of <paramref name="length"/> bytes.</summary>
    public static long SideLength(long length, int chunkSize) => ChecksumSide.LengthFor(new ChunkLayout(length, chunkSize));

    /// <summary>Wraps <paramref name="inner"/>, and reads the stored checksums or begins new ones.</summary>
    /// <exception cref="ArgumentException">An option is out of its bounds, or does not fit the backend.</exception>
    /// <exception cref="BackendException">A store failed, or the side backend holds something else.</exception>
    public static async ValueTask<ChecksumStage> OpenAsync(
        IBackend inner, ChecksumOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(inner);
        options ??= new ChecksumOptions();
        var stage = new ChecksumStage(inner, options.ToPlan(inner));
        bool isNew = true;
        ChecksumSide? side = null;
        if (options.Side is not null)
            (side, isNew) = await ChecksumSide.OpenAsync(options.Side, stage.Layout, stage._table, cancellationToken);
        if (isNew)
        {
            if (options.Start == ChecksumStart.Scan)
                await stage.ScanAsync(cancellationToken);
            if (side is not null)
                await side.CreateAsync(cancellationToken);
        }

        stage._side = side;
        return stage;
    }

    /// <summary>
    /// Reads every chunk whose contents are in doubt, after a crash or a failed write, so that it is compared from now on.
    /// </summary>
    /// <returns>The number of chunks that were in doubt.</returns>
    /// <exception cref="BackendException">The store failed; the rest is still in doubt.</exception>
    public async ValueTask<long> SettleAsync(CancellationToken cancellationToken = default)
    {
        long count = 0;
        for (long chunk = _table.NextUnsettled(0); chunk >= 0; chunk = _table.NextUnsettled(chunk + 1), count++)
            await ReadPartAsync(new ChunkPiece(Layout.OffsetOf(chunk), 1, IsWhole: false), new byte[1], cancellationToken);
        return count;
    }

    /// <inheritdoc/>
    public override ValueTask FlushAsync(CancellationToken cancellationToken = default)
        => _side is null ? Inner.FlushAsync(cancellationToken) : FlushBothAsync(cancellationToken);

    /// <inheritdoc/>
    public override TCapability? GetCapability<TCapability>()
        where TCapability : class
    {
        if (typeof(TCapability) == typeof(ITrim) || typeof(TCapability) == typeof(IZero))
            return InnerZero is null ? null : this as TCapability;
        if (typeof(TCapability) == typeof(IBlockSizes))
            return this as TCapability;
        return typeof(TCapability) == typeof(IExtentSource) || typeof(TCapability) == typeof(IConcurrentWriters)
            ? Inner.GetCapability<TCapability>()
            : null;
    }

    /// <summary>
    /// Waits for what is under way, stores the checksums, where there is a side backend, and disposes both. A failure to store them is thrown
    /// after that.
    /// </summary>
    public override async ValueTask DisposeAsync()
    {
        if (!TryClose())
            return;
        try
        {
            // A write that goes on while the marks are taken back would leave its chunk with the checksum of its old bytes.
            await EndUnderWayAsync();
            if (_side is not null)
            {
                await FlushBothAsync(CancellationToken.None);
                await _side.SettleAsync(CancellationToken.None);
            }
        }
        finally
        {
            await base.DisposeAsync();
            if (_side is not null)
                await _side.DisposeAsync();
        }
    }

    private async ValueTask FlushBothAsync(CancellationToken cancellationToken)
    {
        await Inner.FlushAsync(cancellationToken);
        await _side!.FlushAsync(cancellationToken);
    }

    private async ValueTask ScanAsync(CancellationToken cancellationToken)
    {
        _table.Unsettle(0, Layout.ChunkCount);
        int step = Math.Min(MaximumRun, Math.Max(Layout.ChunkSize, 64 << 10));
        byte[] buffer = ArrayPool<byte>.Shared.Rent(step);
        try
        {
            for (long offset = 0; offset < Layout.Length; offset += step)
            {
                var part = buffer.AsMemory(0, (int)Math.Min(step, Layout.Length - offset));
                await Inner.ReadAsync(offset, part, cancellationToken);
                _table.Verify(Layout.IndexOf(offset), part.Span);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private protected override async ValueTask ReadWholeAsync(ChunkPiece piece, Memory<byte> target, CancellationToken cancellationToken)
    {
        var hold = await HoldAsync(piece, exclusive: false, cancellationToken);
        try
        {
            await Inner.ReadAsync(piece.Offset, target, cancellationToken);
            Verify(hold.FirstChunk, hold.LastChunk, target.Span);
        }
        finally
        {
            Locks.Release(hold);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private protected override async ValueTask ReadPartAsync(ChunkPiece piece, Memory<byte> target, CancellationToken cancellationToken)
    {
        var hold = await HoldAsync(piece, exclusive: false, cancellationToken);
        byte[]? chunk = null;
        try
        {
            chunk = await ReadChunkAsync(hold.FirstChunk, cancellationToken);
            PartOf(chunk, piece).CopyTo(target.Span);
        }
        finally
        {
            Locks.Release(hold);
            if (chunk is not null)
                ArrayPool<byte>.Shared.Return(chunk);
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private protected override async ValueTask WriteWholeAsync(ChunkPiece piece, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        var hold = await HoldAsync(piece, exclusive: true, cancellationToken);
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            await WriteHeldAsync(hold, source, cancellationToken);
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
        byte[]? chunk = null;
        try
        {
            chunk = await ReadChunkAsync(hold.FirstChunk, cancellationToken);
            if (source.IsEmpty)
                PartOf(chunk, piece).Clear();
            else
                source.Span.CopyTo(PartOf(chunk, piece));
            await WriteHeldAsync(hold, chunk.AsMemory(0, Layout.LengthOf(hold.FirstChunk)), cancellationToken);
        }
        finally
        {
            Locks.Release(hold);
            if (chunk is not null)
                ArrayPool<byte>.Shared.Return(chunk);
        }
    }

    private protected override async ValueTask ZeroWholeAsync(ChunkPiece piece, ZeroMode mode, CancellationToken cancellationToken)
    {
        var hold = await HoldAsync(piece, exclusive: true, cancellationToken);
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (_side is not null)
                await _side.MarkAsync(hold.FirstChunk, hold.LastChunk, cancellationToken);
            try
            {
                await InnerZero!.ZeroAsync(piece.Offset, piece.Length, mode, CancellationToken.None);
            }
            catch (Exception error) when (error is not BackendException { Error: BackendError.NotSupported })
            {
                _table.Unsettle(hold.FirstChunk, hold.LastChunk - hold.FirstChunk + 1);
                throw;
            }

            _table.SetZero(hold.FirstChunk, hold.LastChunk - hold.FirstChunk + 1);
            _side?.Change(hold.FirstChunk, hold.LastChunk);
        }
        finally
        {
            Locks.Release(hold);
        }
    }

    private protected override ValueTask TrimWholeAsync(ChunkPiece piece, CancellationToken cancellationToken)
        => ZeroWholeAsync(piece, ZeroMode.None, cancellationToken);

    private async ValueTask<byte[]> ReadChunkAsync(long chunk, CancellationToken cancellationToken)
    {
        int length = Layout.LengthOf(chunk);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            await Inner.ReadAsync(Layout.OffsetOf(chunk), buffer.AsMemory(0, length), cancellationToken);
            Verify(chunk, chunk, buffer.AsSpan(0, length));
            return buffer;
        }
        catch
        {
            ArrayPool<byte>.Shared.Return(buffer);
            throw;
        }
    }

    private void Verify(long firstChunk, long lastChunk, ReadOnlySpan<byte> data)
    {
        if (_table.Verify(firstChunk, data))
            _side?.Change(firstChunk, lastChunk);
    }

    /// <summary>Writes whole chunks that are held exclusively.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask WriteHeldAsync(RangeHold hold, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        int count = (int)(hold.LastChunk - hold.FirstChunk) + 1;
        uint[] sums = ArrayPool<uint>.Shared.Rent(count);
        try
        {
            _table.Compute(hold.FirstChunk, source.Span, sums);
            if (_side is not null)
                await _side.MarkAsync(hold.FirstChunk, hold.LastChunk, cancellationToken);
            try
            {
                await Inner.WriteAsync(Layout.OffsetOf(hold.FirstChunk), source, CancellationToken.None);
            }
            catch
            {
                _table.Unsettle(hold.FirstChunk, count);
                throw;
            }

            _table.Set(hold.FirstChunk, sums.AsSpan(0, count));
            _side?.Change(hold.FirstChunk, hold.LastChunk);
        }
        finally
        {
            ArrayPool<uint>.Shared.Return(sums);
        }
    }
}
