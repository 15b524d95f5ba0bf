using Farspan.Backends;
using Farspan.Linux.Userfaults;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>A region as a backend, so that what checks backends checks the memory: everything goes through it, by copies and by views in turn.</summary>
internal sealed class RegionBackend(IBackend remote, RemoteMemoryOptions options) : IBackend
{
    private int _calls;

    public RemoteMemory Region { get; } = RemoteMemory.Map(remote, options);

    public long Length => Region.Length;

    public bool IsReadOnly => Region.IsReadOnly;

    public async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        switch (Interlocked.Increment(ref _calls) % (buffer.Length > 64 << 10 ? 2 : 3))
        {
            case 0:
                Region.CopyTo(offset, buffer.Span);
                break;
            case 1:
                await Region.CopyToAsync(offset, buffer, cancellationToken);
                break;
            default:
                using (var view = await Region.AcquireAsync(offset, buffer.Length, cancellationToken))
                    view.ReadOnlySpan.CopyTo(buffer.Span);
                break;
        }
    }

    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        switch (Interlocked.Increment(ref _calls) % (buffer.Length > 64 << 10 ? 2 : 3))
        {
            case 0:
                Region.CopyFrom(offset, buffer.Span);
                break;
            case 1:
                await Region.CopyFromAsync(offset, buffer, cancellationToken);
                break;
            default:
                using (var view = await Region.AcquireAsync(offset, buffer.Length, cancellationToken))
                    buffer.Span.CopyTo(view.Span);
                break;
        }
    }

    public async ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        await Region.FlushAsync(cancellationToken);
    }

    public TCapability? GetCapability<TCapability>()
        where TCapability : class => null;

    public async ValueTask DisposeAsync()
    {
        await Region.DisposeAsync();
        await remote.DisposeAsync();
    }
}
