using System.Collections.Concurrent;
using Farspan.Backends;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Files;

/// <summary>
/// The bytes of a file or a block device, by positional calls without a lock. Holes are made by trimming and zeroing and told as extents,
/// where the file system has them.
/// </summary>
/// <remarks>
/// <para>A read of what is in the page cache completes synchronously; what would wait for the disk goes to the backend's own threads. Writes
/// into the page cache complete synchronously too, unless the kernel has begun to make writers wait.</para>
/// <para>With <see cref="FileBackendOptions.Direct"/> the page cache is gone around (O_DIRECT): offsets and lengths must then be multiples of
/// <see cref="IBlockSizes"/>' minimum, and others are refused with <see cref="BackendError.Invalid"/>; put a chunking stage above it to take
/// any. Buffers may lie anywhere.</para>
/// <para>All members may be called from any thread at any time, <see cref="DisposeAsync"/> too, which waits for what is running.</para>
/// </remarks>
public sealed partial class LinuxFileBackend : IBackend, ITrim, IZero, IExtentSource, IBlockSizes, IConcurrentWriters
{
    /// <summary>Threads of one backend: what a disk is kept busy with.</summary>
    private const int Workers = 16;

    private const int BounceLength = 1 << 20;

    private readonly SafeDescriptor _file;
    private readonly FileFacts _facts;
    private readonly FileWorkers _workers = new(Workers);
    private readonly ConcurrentStack<FileTransfer> _transfers = new();
    private readonly AlignedBuffers _bounces;
    private readonly FileSpace _space;
    private readonly FlushFailure _flushFailure = new();
    private readonly WriteStalls _writeStalls;
    private volatile bool _canReadCached;
    private volatile bool _canWriteCached;
    private volatile bool _disposed;

    private LinuxFileBackend(SafeDescriptor file, FileFacts facts, TimeProvider clock)
    {
        _file = file;
        _facts = facts;
        _writeStalls = new WriteStalls(clock);
        _bounces = new AlignedBuffers(BounceLength, Math.Max(4096, facts.DirectMemoryAlignment));
        _space = new FileSpace(file, facts, _bounces);
        _canReadCached = _canWriteCached = !facts.IsInMemory && facts.DirectAlignment == 0;
        int alignment = Math.Max(1, facts.DirectAlignment);
        BlockSizes = new BlockSizes(alignment, Math.Max(4096, alignment), BlockSizes.Default.Maximum);
    }

    /// <inheritdoc/>
    public long Length => _facts.Length;

    /// <inheritdoc/>
    public bool IsReadOnly => _facts.IsReadOnly;

    /// <summary>Whether holes can be had: a hole reads as zero and costs no more than its making.</summary>
    public bool CanZeroFast => _facts.CanPunch;

    /// <summary>With <see cref="FileBackendOptions.Direct"/> the alignment that the file system or device asks for.</summary>
    public BlockSizes BlockSizes { get; }

    internal bool IsBlockDevice => _facts.IsBlockDevice;

    private bool IsDirect => _facts.DirectAlignment > 0;

    /// <summary>Opens a file or block device, or creates a sparse file where the options give a length and it is absent.</summary>
    /// <param name="path">The path.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="clock">The clock that stalling writes are measured with; null for the system's.</param>
    /// <exception cref="ArgumentOutOfRangeException">The options do not fit together.</exception>
    /// <exception cref="BackendException">The file is absent, empty, of another length, no file, in use elsewhere, without direct I/O where
    /// that was asked for, or cannot be opened. A file that was to be created is not left behind.</exception>
    public static LinuxFileBackend Open(string path, FileBackendOptions? options = null, TimeProvider? clock = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options ??= new FileBackendOptions();
        options.Validate();
        var (file, facts) = FileOpening.Open(path, options);
        return new LinuxFileBackend(file, facts, clock ?? TimeProvider.System);
    }

    /// <inheritdoc/>
    public unsafe ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled(cancellationToken);
        Check(offset, buffer.Length);
        CheckAlignment(offset, buffer.Length);
        if (buffer.IsEmpty)
            return default;
        if (_facts.IsInMemory)
        {
            ReadNow(offset, buffer.Span);
            return default;
        }

        if (_canReadCached)
        {
            nint count;
            fixed (byte* start = buffer.Span)
                count = FileCalls.TryReadCached(_file, _facts.Path, start, buffer.Length, offset);
            if (count == buffer.Length)
                return default;
            if (count < 0)
            {
                _canReadCached = false;
            }
            else
            {
                offset += count;
                buffer = buffer[(int)count..];
            }
        }

        var transfer = Transfer();
        transfer.SetRead(offset, buffer, cancellationToken);
        _workers.Post(transfer);
        return transfer.Task;
    }

    /// <inheritdoc/>
    public unsafe ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled(cancellationToken);
        Check(offset, buffer.Length);
        CheckWritable();
        CheckAlignment(offset, buffer.Length);
        if (buffer.IsEmpty)
            return default;
        if (_facts.IsInMemory)
        {
            WriteNow(offset, buffer.Span);
            return default;
        }

        if (!IsDirect && TryWriteInline(ref offset, ref buffer))
            return default;
        var transfer = Transfer();
        transfer.SetWrite(offset, buffer, cancellationToken);
        _workers.Post(transfer);
        return transfer.Task;
    }

    /// <inheritdoc/>
    /// <remarks>Once a flush failed, every later one fails: the kernel forgets what it could not write.</remarks>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled(cancellationToken);
        Check(0, 0);
        return IsReadOnly ? default : new ValueTask(_workers.RunAsync(FlushNow, cancellationToken));
    }

    /// <inheritdoc/>
    /// <remarks>Makes a hole, which reads as zero. On a block device the parts of blocks of 4 KiB at the ends keep their bytes.</remarks>
    public ValueTask TrimAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        CheckChange(offset, length, cancellationToken);
        return length == 0 ? default : new ValueTask(_workers.RunAsync(() => _space.Trim(offset, length), cancellationToken));
    }

    /// <inheritdoc/>
    /// <remarks>Makes a hole, or, with <see cref="ZeroMode.KeepAllocated"/>, blocks that are allocated and marked as not yet written, where the
    /// file system has those; else writes zeroes.</remarks>
    public ValueTask ZeroAsync(long offset, long length, ZeroMode mode = ZeroMode.None, CancellationToken cancellationToken = default)
    {
        CheckChange(offset, length, cancellationToken);
        return length == 0 ? default : new ValueTask(_workers.RunAsync(() => _space.Zero(offset, length, mode, cancellationToken), cancellationToken));
    }

    /// <inheritdoc/>
    /// <remarks>What the file system calls a hole may be allocated and marked as not yet written; it is told as a hole.</remarks>
    public ValueTask ListExtentsAsync(
        long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(extents);
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        cancellationToken.ThrowIfCancellationRequested();
        Check(offset, length);
        return length == 0
            ? default
            : new ValueTask(_workers.RunAsync(() => FileExtents.List(_file, _facts.Path, offset, length, limit, extents), cancellationToken));
    }

    /// <inheritdoc/>
    public TCapability? GetCapability<TCapability>()
        where TCapability : class
    {
        bool has = true;
        if (typeof(TCapability) == typeof(ITrim))
            has = _facts.CanPunch;
        else if (typeof(TCapability) == typeof(IZero))
            has = !IsReadOnly;
        else if (typeof(TCapability) == typeof(IExtentSource))
            has = _facts.CanSeekHoles;
        else if (typeof(TCapability) == typeof(IBlockSizes))
            has = IsDirect;
        return has ? this as TCapability : null;
    }

    /// <summary>Waits for what is running and closes the file. What was not flushed is left to the kernel.</summary>
    public async ValueTask DisposeAsync()
    {
        _disposed = true;
        await _workers.DisposeAsync();
        _file.Dispose();
        _bounces.Dispose();
    }

    private void FlushNow()
    {
        // One at a time: the kernel tells a failed write-back to one of two overlapping calls only, and the other would call it a success.
        lock (_flushFailure)
        {
            _flushFailure.ThrowIfAny(_facts.Path);
            try
            {
                FileCalls.SyncData(_file, _facts.Path);
            }
            catch (BackendException failure)
            {
                throw _flushFailure.Remember(failure);
            }
        }
    }

    private void Check(long offset, long length)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        BackendRange.Check(Length, offset, length);
    }

    private void CheckChange(long offset, long length, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        Check(offset, length);
        CheckWritable();
        CheckAlignment(offset, length);
    }

    private void CheckWritable()
    {
        if (IsReadOnly)
            throw new BackendException(BackendError.ReadOnly, $"{_facts.Path} is open for reading only.");
    }

    private void CheckAlignment(long offset, long length)
    {
        if (((offset | length) & (BlockSizes.Minimum - 1)) != 0)
        {
            throw new BackendException(
                BackendError.Invalid, $"{length} bytes at {offset} of {_facts.Path}: with direct=on both must be multiples of {BlockSizes.Minimum}.");
        }
    }
}
