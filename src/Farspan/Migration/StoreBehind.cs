using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Migration;

/// <summary>
/// A store that stands behind a region and that both hosts of a move reach: it has whatever a flush covered, so that the loss of either host loses nothing
/// that was flushed. Its lease, where it has one, moves with the region. Owns the store. Thread-safe.
/// </summary>
/// <param name="store">The store.</param>
/// <param name="holder">Who this host is, in words.</param>
internal sealed class StoreBehind(IBackend store, string holder) : IAsyncDisposable
{
    private readonly ChunkRangeLock _turn = new();
    private ILease? _lease;

    /// <summary>The bytes, for reading.</summary>
    public IBackend Store => store;

    /// <summary>
    /// The bytes, for the host that owns a region. Where the store gives leases, the region's owner takes it over at once from the one before, whose writes are
    /// refused from then on: the region's name is the key.
    /// </summary>
    /// <exception cref="BackendException">The store failed, or belongs to somebody else.</exception>
    public ValueTask<IBackend> OwnAsync(Guid region, CancellationToken cancellationToken) => OwnAsync(region, isLost: false, cancellationToken);

    /// <summary>
    /// As <see cref="OwnAsync(Guid, CancellationToken)"/>, once the lease was lost: the host before may have asked for it late, or come back to a store that was started anew. It
    /// does not write, and this one owns the region as before.
    /// </summary>
    /// <exception cref="BackendException">The store failed, or belongs to somebody else.</exception>
    public ValueTask<IBackend> RegainAsync(Guid region, CancellationToken cancellationToken) => OwnAsync(region, isLost: true, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        if (_lease is not null)
            await _lease.DisposeAsync();
        await store.DisposeAsync();
    }

    private async ValueTask<IBackend> OwnAsync(Guid region, bool isLost, CancellationToken cancellationToken)
    {
        if (store.GetCapability<ILeasing>() is not { } leasing)
            return store;
        var hold = await _turn.AcquireAsync(0, 0, exclusive: true, cancellationToken);
        try
        {
            if (_lease is { } lost && isLost)
            {
                _lease = await leasing.AcquireAsync(holder, region, cancellationToken);
                if (_lease.Epoch != lost.Epoch)
                    await lost.DisposeAsync();
            }

            _lease ??= await leasing.AcquireAsync(holder, region, cancellationToken);
            return _lease.Backend;
        }
        finally
        {
            _turn.Release(hold);
        }
    }
}
