using Microsoft.Win32.SafeHandles;

namespace Farspan.Backends;

/// <summary>
/// The bytes of a file, by positional reads and writes without a lock, on any operating system. On Linux <c>Farspan.Linux</c> has one that
/// also knows holes, block devices and O_DIRECT.
/// </summary>
/// <remarks>All members may be called from any thread at any time. Files are read and written on the thread pool.</remarks>
public sealed class FileBackend : IBackend, IConcurrentWriters
{
    private readonly string _path;
    private readonly SafeFileHandle _file;
    private readonly FlushFailure _flushFailure = new();

    private FileBackend(string path, SafeFileHandle file, long length, bool isReadOnly)
    {
        _path = path;
        _file = file;
        Length = length;
        IsReadOnly = isReadOnly;
    }

    /// <inheritdoc/>
    public long Length { get; }

    /// <inheritdoc/>
    public bool IsReadOnly { get; }

    /// <summary>Opens a file, or creates it where the options give a length and it is absent.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The options do not fit together.</exception>
    /// <exception cref="BackendException">The file is absent, has another length, is open for writing elsewhere, or cannot be opened.</exception>
    public static FileBackend Open(string path, FileBackendOptions? options = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options ??= new FileBackendOptions();
        options.Validate();
        if (options.Direct)
            throw new BackendException(BackendError.NotSupported, $"{path} cannot be opened with direct=on here; leave it out.");
        try
        {
            if (options is { Length: { } length, ReadOnly: false } && !Path.Exists(path))
                Create(path, length);
            var (file, isReadOnly) = OpenHandle(path, options);
            try
            {
                return new FileBackend(path, file, CheckLength(path, file, options), isReadOnly);
            }
            catch
            {
                file.Dispose();
                throw;
            }
        }
        catch (Exception error) when (FileErrors.IsFileError(error))
        {
            string hint = error is FileNotFoundException ? " Give size= to create it." : "";
            throw FileErrors.Wrap(error, $"Opening the file {path} failed{hint}");
        }
    }

    /// <inheritdoc/>
    public async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Check(offset, buffer.Length);
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            while (!buffer.IsEmpty)
            {
                int count = await RandomAccess.ReadAsync(_file, buffer, offset, cancellationToken);
                if (count == 0)
                    throw new BackendException(BackendError.InputOutput, $"{_path} ends at {offset}: it was shortened while it was open.");
                offset += count;
                buffer = buffer[count..];
            }
        }
        catch (Exception error) when (FileErrors.IsFileError(error))
        {
            throw FileErrors.Wrap(error, $"Reading {buffer.Length} bytes at {offset} of {_path} failed");
        }
    }

    /// <inheritdoc/>
    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Check(offset, buffer.Length);
        if (IsReadOnly)
            throw new BackendException(BackendError.ReadOnly, $"{_path} is open for reading only.");
        cancellationToken.ThrowIfCancellationRequested();
        if (buffer.IsEmpty)
            return;
        try
        {
            await RandomAccess.WriteAsync(_file, buffer, offset, cancellationToken);
        }
        catch (Exception error) when (FileErrors.IsFileError(error))
        {
            throw FileErrors.Wrap(error, $"Writing {buffer.Length} bytes at {offset} of {_path} failed");
        }
    }

    /// <inheritdoc/>
    /// <remarks>Once a flush failed, every later one fails.</remarks>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        Check(0, 0);
        cancellationToken.ThrowIfCancellationRequested();
        return IsReadOnly ? default : new ValueTask(Task.Run(Flush, cancellationToken));
    }

    /// <inheritdoc/>
    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => this as TCapability;

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _file.Dispose();
        return default;
    }

    /// <summary>Makes the file under another name and then gives it its own, so that nobody finds it half made; nothing where another was faster.</summary>
    private static void Create(string path, long length)
    {
        string unfinished = Path.Combine(Path.GetDirectoryName(path) ?? "", $".farspan-{Guid.NewGuid():n}.new");
        try
        {
            using (var file = File.OpenHandle(unfinished, FileMode.CreateNew, FileAccess.ReadWrite))
                RandomAccess.SetLength(file, length);
            File.Move(unfinished, path, overwrite: false);
        }
        catch (IOException) when (Path.Exists(path))
        {
        }
        finally
        {
            File.Delete(unfinished);
        }
    }

    private static (SafeFileHandle File, bool IsReadOnly) OpenHandle(string path, FileBackendOptions options)
    {
        if (!options.ReadOnly)
        {
            try
            {
                var share = options.Lock ? FileShare.None : FileShare.ReadWrite;
                return (File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, share, FileOptions.Asynchronous), false);
            }
            catch (UnauthorizedAccessException)
            {
                // Read-only, then, if it permits that.
            }
        }

        var readers = options.Lock ? FileShare.Read : FileShare.ReadWrite;
        return (File.OpenHandle(path, FileMode.Open, FileAccess.Read, readers, FileOptions.Asynchronous), true);
    }

    private static long CheckLength(string path, SafeFileHandle file, FileBackendOptions options)
    {
        long length = RandomAccess.GetLength(file);
        if (length == 0)
            throw new BackendException(BackendError.Invalid, $"{path} is empty and has no bytes to serve; delete it and give size= to create it anew.");
        if (options.Length is { } wanted && wanted != length)
        {
            throw new BackendException(
                BackendError.Invalid, $"{path} has {length} bytes, not the {wanted} asked for; leave size= out to take it as it is.");
        }

        return length;
    }

    private void Flush()
    {
        // One at a time: the system tells a failed write-back to one of two overlapping calls only, and the other would call it a success.
        lock (_flushFailure)
        {
            _flushFailure.ThrowIfAny(_path);
            try
            {
                RandomAccess.FlushToDisk(_file);
            }
            catch (Exception error) when (FileErrors.IsFileError(error))
            {
                throw _flushFailure.Remember(FileErrors.Wrap(error, $"Flushing {_path} failed"));
            }
        }
    }

    private void Check(long offset, long length)
    {
        ObjectDisposedException.ThrowIf(_file.IsClosed, this);
        BackendRange.Check(Length, offset, length);
    }
}
