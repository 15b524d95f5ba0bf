using Farspan.Backends;

namespace Farspan.Tests.Mounts;

/// <summary>A remote in memory that asks a question at each change.</summary>
internal sealed class WatchedRemote(long length, Func<bool> ask) : IBackend, IZero
{
    private readonly MemoryBackend _bytes = new(length);
    private readonly Lock _gate = new();

    /// <summary>The answers, in turn.</summary>
    public List<bool> Changes { get; } = [];

    public long Length => _bytes.Length;

    public bool IsReadOnly => false;

    public bool CanZeroFast => true;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => _bytes.ReadAsync(offset, buffer, cancellationToken);

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Note();
        return _bytes.WriteAsync(offset, buffer, cancellationToken);
    }

    public ValueTask ZeroAsync(long offset, long length, ZeroMode mode = ZeroMode.None, CancellationToken cancellationToken = default)
    {
        Note();
        return _bytes.ZeroAsync(offset, length, mode, cancellationToken);
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => default;

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => this as TCapability;

    public ValueTask DisposeAsync() => _bytes.DisposeAsync();

    private void Note()
    {
        lock (_gate)
            Changes.Add(ask());
    }
}
