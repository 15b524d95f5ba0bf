using Farspan.Backends;
using Farspan.Mounts.Caching;

namespace Farspan.Cli.Migration;

/// <summary>Files that end with this process, as what they are about does. One call at a time.</summary>
internal sealed class MemoryFiles : ICacheFiles
{
    private readonly Dictionary<string, MemoryStream> _files = [];

    /// <inheritdoc/>
    public string Name => "memory";

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<string>> ListAsync() => new([.. _files.Keys]);

    /// <inheritdoc/>
    public ValueTask<ICacheFile> OpenAsync(string name) => new(new MemoryFile(Find(name)));

    /// <inheritdoc/>
    public ValueTask<ICacheFile> CreateAsync(string name) => new(new MemoryFile(_files[name] = new MemoryStream()));

    /// <inheritdoc/>
    public ValueTask<IBackend> OpenDataAsync(string name, long length) => throw new NotSupportedException();

    /// <inheritdoc/>
    public ValueTask RenameAsync(string from, string to)
    {
        _files[to] = Find(from);
        _files.Remove(from);
        return default;
    }

    /// <inheritdoc/>
    public ValueTask DeleteAsync(string name)
    {
        _files.Remove(name);
        return default;
    }

    /// <inheritdoc/>
    public ValueTask SyncNamesAsync() => default;

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => default;

    private MemoryStream Find(string name)
        => _files.TryGetValue(name, out var file) ? file : throw new BackendException(BackendError.NotFound, $"There is no file {name} in memory.");

    private sealed class MemoryFile(MemoryStream bytes) : ICacheFile
    {
        public long Length => bytes.Length;

        public ValueTask ReadAsync(long offset, Memory<byte> buffer)
        {
            bytes.Position = offset;
            bytes.ReadExactly(buffer.Span);
            return default;
        }

        public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
        {
            bytes.Position = offset;
            bytes.Write(buffer.Span);
            return default;
        }

        public ValueTask SetLengthAsync(long length)
        {
            bytes.SetLength(length);
            return default;
        }

        public ValueTask FlushAsync() => default;

        public ValueTask DisposeAsync() => default;
    }
}
