using Farspan.Units;

namespace Farspan.Backends;

/// <summary>
/// Bytes in native memory, sparse: what was never written takes none. Reads and writes take no lock, allocate nothing and complete
/// synchronously. Nothing outlives the object.
/// </summary>
/// <remarks>
/// <para>Memory is taken in blocks of 4 MiB (more where the length is over 128 GiB), of which the system provides only the pages that were
/// touched. A block goes back to the system once all of it was trimmed or zeroed and nobody reads it.</para>
/// <para>All members may be called from any thread at any time, <see cref="DisposeAsync"/> too.</para>
/// </remarks>
public sealed partial class MemoryBackend : IBackend, ITrim, IZero, IExtentSource, IMemoryLender, IInPlaceWriter, IConcurrentWriters
{
    /// <summary>The longest backend: 1 PiB.</summary>
    public const long MaximumLength = 1L << 50;

    private const int SmallestBlockShift = 22;
    private const int LargestBlockShift = 30;

    /// <summary>Below what the kernel allows a process in mappings (vm.max_map_count, 65530), as each block is one.</summary>
    private const int AimedBlocks = 1 << 15;

    private readonly MemoryBlock?[] _blocks;
    private readonly int _blockShift;
    private long _allocated;
    private volatile bool _disposed;

    /// <summary>Creates a backend that reads as zero.</summary>
    /// <param name="length">Number of bytes, from 1 to <see cref="MaximumLength"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">The length is not in that range.</exception>
    public MemoryBackend(long length)
    {
        if (length is < 1 or > MaximumLength)
        {
            throw new ArgumentOutOfRangeException(
                nameof(length), $"A memory backend has from 1 byte to {ByteSize.Format(MaximumLength)}, not {length} bytes.");
        }

        Length = length;
        _blockShift = SmallestBlockShift;
        while (_blockShift < LargestBlockShift && length >> _blockShift > AimedBlocks)
            _blockShift++;
        _blocks = new MemoryBlock?[((length - 1) >> _blockShift) + 1];
    }

    /// <inheritdoc/>
    public long Length { get; }

    /// <summary>False, always.</summary>
    public bool IsReadOnly => false;

    /// <summary>The number of bytes in blocks that are in use now, whether or not all their pages were touched.</summary>
    public long AllocatedLength => Volatile.Read(ref _allocated);

    /// <summary>True: zeroes cost a store at most, and nothing where nothing was written.</summary>
    public bool CanZeroFast => true;

    private int BlockLength => 1 << _blockShift;

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled(cancellationToken);
        Check(offset, buffer.Length);
        var destination = buffer.Span;
        while (!destination.IsEmpty)
        {
            var (index, at, length) = Locate(offset, destination.Length);
            if (Hold(index) is { } block)
            {
                block.Read(at, destination[..length]);
                block.Release();
            }
            else
            {
                destination[..length].Clear();
            }

            offset += length;
            destination = destination[length..];
        }

        return default;
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled(cancellationToken);
        Check(offset, buffer.Length);
        var source = buffer.Span;
        while (!source.IsEmpty)
        {
            var (index, at, length) = Locate(offset, source.Length);
            var block = Hold(index) ?? HoldNew(index);
            block.Write(at, source[..length]);
            block.Release();
            offset += length;
            source = source[length..];
        }

        return default;
    }

    /// <summary>Returns at once: memory has nothing more durable below it.</summary>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled(cancellationToken);
        ObjectDisposedException.ThrowIf(_disposed, this);
        return default;
    }

    /// <inheritdoc/>
    /// <remarks>Whole pages of 4 KiB read as zero afterwards; parts of pages keep their bytes.</remarks>
    public ValueTask TrimAsync(long offset, long length, CancellationToken cancellationToken = default)
        => ClearAsync(offset, length, wholePagesOnly: true, keep: false, cancellationToken);

    /// <inheritdoc/>
    /// <remarks><see cref="ZeroMode.KeepAllocated"/> takes the blocks of the range; the system still provides their pages as they are touched.</remarks>
    public ValueTask ZeroAsync(long offset, long length, ZeroMode mode = ZeroMode.None, CancellationToken cancellationToken = default)
        => ClearAsync(offset, length, wholePagesOnly: false, mode.HasFlag(ZeroMode.KeepAllocated), cancellationToken);

    /// <inheritdoc/>
    /// <remarks>To the page of 4 KiB: what was never written, or given up since, is a hole that reads as zero.</remarks>
    public ValueTask ListExtentsAsync(
        long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(extents);
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled(cancellationToken);
        Check(offset, length);
        long end = offset + length;
        long start = offset;
        ExtentKind? kind = null;
        while (offset < end)
        {
            var (next, run) = RunAt(offset, end - offset);
            if (kind is { } last && last != next)
            {
                extents.Add(new Extent(start, offset - start, last));
                if (--limit == 0)
                    return default;
                start = offset;
            }

            kind = next;
            offset += run;
        }

        if (kind is { } final)
            extents.Add(new Extent(start, end - start, final));
        return default;
    }

    /// <inheritdoc/>
    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => this as TCapability;

    /// <summary>Gives all memory back, except what is on loan, which goes back when it is returned.</summary>
    public ValueTask DisposeAsync()
    {
        _disposed = true;

        // A full barrier: a write that makes a block after this sees that we are disposed, and one that made it before is found below.
        Interlocked.MemoryBarrier();
        for (int index = 0; index < _blocks.Length; index++)
            Interlocked.Exchange(ref _blocks[index], null)?.Unlink();
        return default;
    }

    internal void Forget(MemoryBlock block) => Interlocked.CompareExchange(ref _blocks[block.Index], null, block);

    internal void AddAllocated(long bytes) => Interlocked.Add(ref _allocated, bytes);

    private void Check(long offset, long length)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        BackendRange.Check(Length, offset, length);
    }

    private (int Index, int At, int Length) Locate(long offset, long length)
    {
        int at = (int)(offset & (BlockLength - 1));
        return ((int)(offset >> _blockShift), at, (int)Math.Min(length, BlockLength - at));
    }

    /// <summary>Holds the block, or null where there is none.</summary>
    private MemoryBlock? Hold(int index)
    {
        var wait = default(SpinWait);
        while (Volatile.Read(ref _blocks[index]) is { } block)
        {
            if (block.TryHold())
                return block;
            wait.SpinOnce();
        }

        // Disposal empties the slots: that must not pass for zeroes.
        ObjectDisposedException.ThrowIf(_disposed, this);
        return null;
    }

    private MemoryBlock HoldNew(int index)
    {
        while (true)
        {
            int length = (int)Math.Min(BlockLength, Length - ((long)index << _blockShift));
            var block = MemoryBlock.Create(this, index, length);
            AddAllocated(length);
            block.TryHold();
            if (Interlocked.CompareExchange(ref _blocks[index], block, null) is not null)
            {
                block.Release();
                block.Unlink();
                if (Hold(index) is { } other)
                    return other;
                continue;
            }

            if (!_disposed)
                return block;
            if (Interlocked.CompareExchange(ref _blocks[index], null, block) == block)
                block.Unlink();
            block.Release();
            ObjectDisposedException.ThrowIf(_disposed, this);
        }
    }

    private ValueTask ClearAsync(long offset, long length, bool wholePagesOnly, bool keep, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled(cancellationToken);
        Check(offset, length);
        while (length > 0)
        {
            var (index, at, run) = Locate(offset, length);
            Clear(index, at, run, wholePagesOnly, keep);
            offset += run;
            length -= run;
            if (cancellationToken.IsCancellationRequested)
                return ValueTask.FromCanceled(cancellationToken);
        }

        return default;
    }

    private void Clear(int index, int at, int length, bool wholePagesOnly, bool keep)
    {
        var block = Volatile.Read(ref _blocks[index]);
        if (block is not null && !keep && length == block.Length && block.TryDrop())
            return;
        block = Hold(index);
        if (block is null && keep)
            block = HoldNew(index);
        if (block is null)
            return;
        block.Zero(at, length, wholePagesOnly, keep);
        block.Release();
    }

    private (ExtentKind Kind, long Length) RunAt(long offset, long limit)
    {
        var (index, at, length) = Locate(offset, limit);
        if (Hold(index) is not { } block)
            return (ExtentKind.Hole | ExtentKind.Zero, length);
        length = block.RunLength(at, length, out bool written);
        block.Release();
        return (written ? ExtentKind.Data : ExtentKind.Hole | ExtentKind.Zero, length);
    }
}
