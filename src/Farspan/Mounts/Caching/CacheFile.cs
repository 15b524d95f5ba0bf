using Farspan.Backends;
using Microsoft.Win32.SafeHandles;

namespace Farspan.Mounts.Caching;

/// <summary>A file of a <see cref="CacheDirectory"/>. Short writes are made in place: they go into the page cache.</summary>
internal sealed class CacheFile(string path, SafeFileHandle file) : ICacheFile
{
    private const int LongestInlineWrite = 64 << 10;

    private readonly FlushFailure _flushFailure = new();

    /// <inheritdoc/>
    public long Length => RandomAccess.GetLength(file);

    /// <inheritdoc/>
    public async ValueTask ReadAsync(long offset, Memory<byte> buffer)
    {
        try
        {
            while (!buffer.IsEmpty)
            {
                int count = await RandomAccess.ReadAsync(file, buffer, offset);
                if (count == 0)
                    throw new BackendException(BackendError.InputOutput, $"{path} ends at {offset}: it was shortened while it was open.");
                offset += count;
                buffer = buffer[count..];
            }
        }
        catch (Exception error) when (FileErrors.IsFileError(error))
        {
            throw FileErrors.Wrap(error, $"Reading {path} failed");
        }
    }

    /// <inheritdoc/>
    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
    {
        try
        {
            if (buffer.Length <= LongestInlineWrite)
                RandomAccess.Write(file, buffer.Span, offset);
            else
                await RandomAccess.WriteAsync(file, buffer, offset);
        }
        catch (Exception error) when (FileErrors.IsFileError(error))
        {
            throw FileErrors.Wrap(error, $"Writing {path} failed");
        }
    }

    /// <inheritdoc/>
    public ValueTask SetLengthAsync(long length)
    {
        try
        {
            RandomAccess.SetLength(file, length);
            return default;
        }
        catch (Exception error) when (FileErrors.IsFileError(error))
        {
            return ValueTask.FromException(FileErrors.Wrap(error, $"Setting the length of {path} failed"));
        }
    }

    /// <inheritdoc/>
    public async ValueTask FlushAsync()
    {
        _flushFailure.ThrowIfAny(path);
        try
        {
            // The device's own thread, as it were: .NET has no asynchronous fsync.
            await Task.Run(() => RandomAccess.FlushToDisk(file));
        }
        catch (Exception error) when (FileErrors.IsFileError(error))
        {
            throw _flushFailure.Remember(FileErrors.Wrap(error, $"Flushing {path} failed"));
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        file.Dispose();
        return default;
    }
}
