using Farspan.Backends;

namespace Farspan.Migration;

/// <summary>
/// A store that stands behind a region and that both hosts of a move reach: it has whatever a flush covered, so that the loss of either host loses nothing
/// that was flushed. Its lease, where it has one, moves with the region. Owns the store. Calls but <see cref="OwnAsync"/> are thread-safe.
/// </summary>
/// <param name="store">The store.</param>
/// <param name="holder">Who this host is, in words.</param>
internal sealed class StoreBehind(IBackend store, string holder) : IAsyncDisposable
{
    private ILease? _lease;

    /// <summary>The bytes, for reading.</summary>
    public IBackend Store => store;

    /// <summary>
    /// The bytes, for the host that owns a region. Where the store gives leases, the region's owner takes it over at once from the one before, whose writes are
    /// refused from then on: the region's name is the key.
    /// </summary>
    /// <exception cref="BackendException">The store failed, or belongs to somebody else.</exception>
    public async ValueTask<IBackend> OwnAsync(Guid region, CancellationToken cancellationToken)
    {
        if (store.GetCapability<ILeasing>() is not { } leasing)
            return store;
        _lease ??= await leasing.AcquireAsync(holder, region, cancellationToken);
        return _lease.Backend;
    }

    public async ValueTask DisposeAsync()
    {
        if (_lease is not null)
            await _lease.DisposeAsync();
        await store.DisposeAsync();
    }
}
