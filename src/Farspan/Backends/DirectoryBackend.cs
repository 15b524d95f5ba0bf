using Farspan.Backends.Directories;
using Microsoft.Win32.SafeHandles;

namespace Farspan.Backends;

/// <summary>
/// Bytes in a directory with one file for each chunk; a chunk without a file is all zero. A small file beside them pins length and chunk
/// length, so that a directory is never opened as something else.
/// </summary>
/// <remarks>
/// <para>Files are opened as they are needed, at most <see cref="DirectoryBackendOptions.OpenFiles"/> at a time. A new chunk is created under
/// another name at its full length and then renamed. Trimming and zeroing delete the files of whole chunks.</para>
/// <para>A lock keeps a second writer out, and readers out while there is one. All members may be called from any thread at any time,
/// <see cref="DisposeAsync"/> too, which waits for what is running. Files are read and written on the thread pool.</para>
/// </remarks>
public sealed class DirectoryBackend : IBackend, ITrim, IZero, IExtentSource, IBlockSizes, IConcurrentWriters
{
    private readonly string _path;
    private readonly SafeFileHandle _lock;
    private readonly ChunkDirectoryDescription _description;
    private readonly ChunkFiles _files;
    private volatile bool _disposed;

    private DirectoryBackend(string path, ChunkDirectoryDescription description, ChunkFiles files, SafeFileHandle held, bool isReadOnly)
    {
        _path = path;
        _description = description;
        _files = files;
        _lock = held;
        IsReadOnly = isReadOnly;
        BlockSizes = new BlockSizes(1, Math.Max(4096, description.ChunkLength), BlockSizes.Default.Maximum);
    }

    /// <inheritdoc/>
    public long Length => _description.Length;

    /// <inheritdoc/>
    public bool IsReadOnly { get; }

    /// <summary>Any offset and length; chunks are preferred.</summary>
    public BlockSizes BlockSizes { get; }

    /// <summary>Bytes in a chunk; the last one may have fewer.</summary>
    public int ChunkLength => _description.ChunkLength;

    /// <summary>The number of chunk files that are open now.</summary>
    public int OpenFiles => _files.OpenCount;

    /// <summary>True: a range that holds a whole chunk is zeroed by deleting files.</summary>
    public bool CanZeroFast => !IsReadOnly;

    /// <summary>Opens a directory, or sets it up where the options give a length and it is absent or empty.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The options do not fit together.</exception>
    /// <exception cref="BackendException">The directory is absent, holds something else, was made with another length or chunk length, is in
    /// use elsewhere, or cannot be opened.</exception>
    public static DirectoryBackend Open(string path, DirectoryBackendOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options ??= new DirectoryBackendOptions();
        options.Validate();
        try
        {
            var (names, description, held, isReadOnly) = ChunkDirectoryOpening.Open(path, options);
            try
            {
                return new DirectoryBackend(path, description, new ChunkFiles(names, description, options, isReadOnly), held, isReadOnly);
            }
            catch
            {
                held.Dispose();
                throw;
            }
        }
        catch (Exception error) when (FileErrors.IsFileError(error))
        {
            throw FileErrors.Wrap(error, $"Opening the directory {path} failed");
        }
    }

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Check(offset, buffer.Length);
        ChunkPart read = (index, at, done, length) => Read(index, at, buffer.Span.Slice(done, length));
        return Run(buffer.Length, () => ForEachChunk(offset, buffer.Length, read, cancellationToken), cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Check(offset, buffer.Length);
        CheckWritable();
        ChunkPart write = (index, at, done, length) => Write(index, at, buffer.Span.Slice(done, length), create: true);
        return Run(buffer.Length, () => ForEachChunk(offset, buffer.Length, write, cancellationToken), cancellationToken);
    }

    /// <inheritdoc/>
    /// <remarks>Once a flush failed, every later one fails.</remarks>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        Check(0, 0);
        cancellationToken.ThrowIfCancellationRequested();
        return IsReadOnly ? default : new ValueTask(Task.Run(_files.Flush, cancellationToken));
    }

    /// <inheritdoc/>
    /// <remarks>Deletes the files of chunks that lie in the range as a whole, and leaves the others as they are.</remarks>
    public ValueTask TrimAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        Check(offset, length);
        CheckWritable();
        ChunkPart delete = (index, _, _, part) =>
        {
            if (part == _description.LengthOf(index))
                _files.Delete(index);
        };
        return Run(length, () => ForEachChunk(offset, length, delete, cancellationToken), cancellationToken);
    }

    /// <inheritdoc/>
    /// <remarks>Deletes the files of chunks that lie in the range as a whole, and writes zeroes into the others that exist;
    /// <see cref="ZeroMode.KeepAllocated"/> writes zeroes everywhere.</remarks>
    public ValueTask ZeroAsync(long offset, long length, ZeroMode mode = ZeroMode.None, CancellationToken cancellationToken = default)
    {
        Check(offset, length);
        CheckWritable();
        return Run(length, () => Zero(offset, length, mode, cancellationToken), cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask ListExtentsAsync(
        long offset, long length, int limit, ICollection<Extent> extents, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(extents);
        ArgumentOutOfRangeException.ThrowIfLessThan(limit, 1);
        Check(offset, length);
        return Run(length, () => ListExtents(offset, length, limit, extents), cancellationToken);
    }

    /// <inheritdoc/>
    public TCapability? GetCapability<TCapability>()
        where TCapability : class
    {
        bool changes = typeof(TCapability) == typeof(ITrim) || typeof(TCapability) == typeof(IZero);
        return changes && IsReadOnly ? null : this as TCapability;
    }

    /// <summary>Waits for what is running and closes all files. What was not flushed is left to the operating system.</summary>
    public async ValueTask DisposeAsync()
    {
        _disposed = true;
        await Task.Run(_files.Close);
        _lock.Dispose();
    }

    private ValueTask Run(long length, Action call, CancellationToken cancellationToken)
    {
        if (cancellationToken.IsCancellationRequested)
            return ValueTask.FromCanceled(cancellationToken);
        return length == 0 ? default : new ValueTask(Task.Run(() => Translate(call), cancellationToken));
    }

    private void Translate(Action call)
    {
        try
        {
            call();
        }
        catch (Exception error) when (FileErrors.IsFileError(error))
        {
            throw FileErrors.Wrap(error, $"A chunk file of {_path} failed");
        }
    }

    private void ForEachChunk(long offset, long length, ChunkPart call, CancellationToken cancellationToken)
    {
        for (long done = 0; done < length;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            long index = (offset + done) / ChunkLength;
            int at = (int)((offset + done) % ChunkLength);
            int part = (int)Math.Min(length - done, ChunkLength - at);
            call(index, at, (int)done, part);
            done += part;
        }
    }

    private void Read(long index, int at, Span<byte> destination)
    {
        if (_files.Take(index, create: false) is not { } file)
        {
            destination.Clear();
            return;
        }

        try
        {
            while (!destination.IsEmpty)
            {
                int count = RandomAccess.Read(file.Handle!, destination, at);
                if (count == 0)
                    throw new BackendException(BackendError.Corrupt, $"The file of chunk {index:x} of {_path} ends at {at}: it was shortened from outside.");
                at += count;
                destination = destination[count..];
            }
        }
        finally
        {
            _files.Return(file, written: false);
        }
    }

    private void Write(long index, int at, ReadOnlySpan<byte> bytes, bool create)
    {
        if (_files.Take(index, create) is not { } file)
            return;
        try
        {
            RandomAccess.Write(file.Handle!, bytes, at);
        }
        finally
        {
            _files.Return(file, written: true);
        }
    }

    private void Zero(long offset, long length, ZeroMode mode, CancellationToken cancellationToken)
    {
        bool keep = mode.HasFlag(ZeroMode.KeepAllocated);
        if (mode.HasFlag(ZeroMode.FastOnly) && (keep || !IsFastToZero(offset, length)))
        {
            throw new BackendException(
                BackendError.NotSupported, $"{length} bytes at {offset} of {_path} cannot be zeroed faster than by writing zeroes.");
        }

        byte[] zeroes = [];
        ChunkPart zero = (index, at, _, part) =>
        {
            if (part == _description.LengthOf(index) && !keep)
            {
                _files.Delete(index);
                return;
            }

            if (zeroes.Length < part)
                zeroes = new byte[part];
            Write(index, at, zeroes.AsSpan(0, part), create: keep);
        };
        ForEachChunk(offset, length, zero, cancellationToken);
    }

    /// <summary>Whether the range holds a whole chunk, or nothing that would have to be written.</summary>
    private bool IsFastToZero(long offset, long length)
    {
        long end = offset + length;
        long firstWhole = (offset + ChunkLength - 1) / ChunkLength;
        long endWhole = end == Length ? ((end - 1) / ChunkLength) + 1 : end / ChunkLength;
        return firstWhole < endWhole || !(_files.Presence.Contains(offset / ChunkLength) || _files.Presence.Contains((end - 1) / ChunkLength));
    }

    private void ListExtents(long offset, long length, int limit, ICollection<Extent> extents)
    {
        long end = offset + length;
        while (offset < end && limit-- > 0)
        {
            long first = offset / ChunkLength;
            long chunks = _files.Presence.RunLength(first, ((end - 1) / ChunkLength) + 1 - first, out bool exists);
            long runEnd = Math.Min(end, (first + chunks) * ChunkLength);
            extents.Add(new Extent(offset, runEnd - offset, exists ? ExtentKind.Data : ExtentKind.Hole | ExtentKind.Zero));
            offset = runEnd;
        }
    }

    private void Check(long offset, long length)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        BackendRange.Check(Length, offset, length);
    }

    private void CheckWritable()
    {
        if (IsReadOnly)
            throw new BackendException(BackendError.ReadOnly, $"{_path} is open for reading only.");
    }

    /// <summary>A part of one chunk: the chunk, where the part starts in it, what of the range came before, and its length; in bytes.</summary>
    private delegate void ChunkPart(long index, int at, int done, int length);
}
