using Farspan.Backends;

namespace Farspan.Tests.Mounts;

/// <summary>A remote that counts the bytes of the calls that are under way, each of which takes a while of virtual time. One thread.</summary>
internal sealed class CountingRemote(long length, TimeProvider clock) : IBackend
{
    private readonly MemoryBackend _bytes = new(length);
    private long _now;

    /// <summary>The most bytes that were under way at once.</summary>
    public long Most { get; private set; }

    /// <summary>Bytes of all writes.</summary>
    public long Written { get; private set; }

    public long Length => _bytes.Length;

    public bool IsReadOnly => false;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => CountAsync(buffer.Length, () => _bytes.ReadAsync(offset, buffer, cancellationToken));

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Written += buffer.Length;
        return CountAsync(buffer.Length, () => _bytes.WriteAsync(offset, buffer, cancellationToken));
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => CountAsync(0, () => default);

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => null;

    public ValueTask DisposeAsync() => _bytes.DisposeAsync();

    private async ValueTask CountAsync(int bytes, Func<ValueTask> call)
    {
        Most = Math.Max(Most, _now += bytes);
        await Task.Delay(TimeSpan.FromMilliseconds(100), clock);
        await call();
        _now -= bytes;
    }
}
