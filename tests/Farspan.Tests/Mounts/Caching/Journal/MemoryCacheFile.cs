using Farspan.Backends;
using Farspan.Mounts.Caching;

namespace Farspan.Tests.Mounts.Caching.Journal;

/// <summary>A journal's bytes in memory.</summary>
internal sealed class MemoryCacheFile(byte[] bytes) : ICacheFile
{
    public long Length => bytes.Length;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer)
    {
        if (offset + buffer.Length > bytes.Length)
            throw new BackendException(BackendError.InputOutput, "Read past the end.");
        bytes.AsMemory((int)offset, buffer.Length).CopyTo(buffer);
        return default;
    }

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer) => throw new NotSupportedException();

    public ValueTask SetLengthAsync(long length) => throw new NotSupportedException();

    public ValueTask FlushAsync() => throw new NotSupportedException();

    public ValueTask DisposeAsync() => default;
}
