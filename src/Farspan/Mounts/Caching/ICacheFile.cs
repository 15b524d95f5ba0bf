namespace Farspan.Mounts.Caching;

/// <summary>A file of a cache directory that grows. One call at a time, but for <see cref="FlushAsync"/>.</summary>
internal interface ICacheFile : IAsyncDisposable
{
    /// <summary>Bytes of the file.</summary>
    long Length { get; }

    /// <summary>Fills the buffer, or throws.</summary>
    /// <exception cref="Backends.BackendException">It failed.</exception>
    ValueTask ReadAsync(long offset, Memory<byte> buffer);

    /// <summary>Writes all of the buffer, or throws; then any first part of it may be written.</summary>
    /// <exception cref="Backends.BackendException">It failed.</exception>
    ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer);

    /// <summary>Makes the file longer or shorter.</summary>
    /// <exception cref="Backends.BackendException">It failed.</exception>
    ValueTask SetLengthAsync(long length);

    /// <summary>Makes the file's bytes and length durable, not its name.</summary>
    /// <exception cref="Backends.BackendException">It failed; what was written since the last time may be lost.</exception>
    ValueTask FlushAsync();
}
