using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Mounts.Caching;
using Farspan.Units;

namespace Farspan.Mounts;

/// <summary>Takes the remote's lease for a mount, and finds out what its cache is worth under it (docs/decisions/0066).</summary>
internal static class MountOwnership
{
    /// <summary>Takes the lease as the options say; null where none is taken.</summary>
    /// <exception cref="BackendException">Another holds it; or others wrote since, and the cache has something to lose.</exception>
    public static async ValueTask<ILease?> TakeAsync(IBackend remote, IChunkCache cache, ManagedMountOptions options, CancellationToken cancellationToken)
    {
        if (options.Lease == LeaseUse.Never || remote.IsReadOnly)
            return null;
        if (remote.GetCapability<ILeasing>() is not { } leasing)
        {
            return options.Lease != LeaseUse.Required
                ? null
                : throw new BackendException(BackendError.NotSupported, "The remote offers no lease, and the mount was asked to take one.");
        }

        // Kept before it is used, so that the next mount of a cache whose process was killed is known as the same holder.
        await cache.KeepLeaseAsync(cache.Lease);
        var lease = await leasing.AcquireAsync(options.LeaseHolder, cache.Lease.Key, cancellationToken);
        try
        {
            if (!(lease.UnbrokenSince <= cache.Lease.Epoch))
                await SettleAsync(cache, options);
            await cache.KeepLeaseAsync(cache.Lease with { Epoch = lease.Epoch });
            return lease;
        }
        catch
        {
            await lease.DisposeAsync();
            throw;
        }
    }

    /// <summary>Others may have written: what is clean is worth nothing, and what is dirty is for the owner to decide.</summary>
    private static async ValueTask SettleAsync(IChunkCache cache, ManagedMountOptions options)
    {
        long dirty = cache.Recovered.Sum(static chunk => chunk.DirtyRanges.Sum(static range => (long)range.Length))
            + (cache.RecoveredZeroes.Sum(static run => run.Count) * cache.ChunkSize);
        if (dirty > 0 && options.OnConflict == ConflictPolicy.Refuse)
        {
            throw new BackendException(
                BackendError.Fenced,
                $"Another writer may have changed the remote since the cache {options.CacheDirectory} was last used, and {ByteSize.Format(Math.Min(dirty, cache.Length))} in it were not pushed: "
                + "choose whether to push them over what the other one wrote (--on-conflict push) or to give them up (--on-conflict discard). Nothing was changed.");
        }

        if (options.OnConflict == ConflictPolicy.Push || dirty == 0)
            await cache.ForgetCleanAsync();
        else
            await DiscardAsync(cache);
    }

    private static async ValueTask DiscardAsync(IChunkCache cache)
    {
        await cache.DiscardAsync(0, new ChunkLayout(cache.Length, cache.ChunkSize).ChunkCount, CancellationToken.None);
        await cache.FlushAsync(CancellationToken.None);
    }
}
