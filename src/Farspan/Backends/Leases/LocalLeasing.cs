namespace Farspan.Backends.Leases;

/// <summary>Leases of stores of this machine, which one process at a time has locked.</summary>
public static class LocalLeasing
{
    private static readonly TimeSpan DrainTimeout = TimeSpan.FromSeconds(20);

    /// <summary>Where the lease of a store at a path is kept: beside it.</summary>
    public static string FileFor(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return path.TrimEnd('/') + ".lease";
    }

    /// <summary>
    /// A store with a lease (<see cref="ILeasing"/>), unless it can only be read. Disposing it disposes the store. Its file is made when the first
    /// lease is given; from then on every opening of the store should go through here, so that whoever comes back is told of other writers.
    /// </summary>
    /// <param name="store">The store, which this process has locked against all others.</param>
    /// <param name="path">Where the store is.</param>
    /// <param name="clock">The clock; null for the system's.</param>
    /// <exception cref="BackendException">The last lease cannot be read; the store is disposed.</exception>
    public static async ValueTask<IBackend> OfferAsync(IBackend store, string path, TimeProvider? clock = null)
    {
        ArgumentNullException.ThrowIfNull(store);
        clock ??= TimeProvider.System;
        try
        {
            return store.IsReadOnly ? store : new LeasableBackend(store, LeaseGate.ForOneProcess(new EpochFile(FileFor(path), clock), clock, DrainTimeout));
        }
        catch
        {
            await store.DisposeAsync();
            throw;
        }
    }
}
