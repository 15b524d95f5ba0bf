using Farspan.Backends;
using Farspan.Migration;

namespace Farspan.Cli.Migration;

/// <summary>The stores of a move, opened for it and closed after it.</summary>
internal sealed class OpenedStores(BackendRegistry registry, TimeSpan timeout) : IAsyncDisposable
{
    private readonly List<IAsyncDisposable> _opened = [];

    /// <summary>Opens what stands behind a region; null for null.</summary>
    /// <exception cref="BackendException">It cannot be opened.</exception>
    /// <exception cref="CommandException">It cannot be written.</exception>
    public async Task<StoreBehind?> OpenBehindAsync(string? uri, CancellationToken cancellationToken)
    {
        if (uri is null)
            return null;
        var store = await registry.OpenAsync(uri, new BackendOpenOptions { Timeout = timeout }, cancellationToken);
        var behind = new StoreBehind(store, $"{Environment.MachineName}, process {Environment.ProcessId}");
        _opened.Add(behind);
        return store.IsReadOnly ? throw new CommandException($"{uri} cannot be written, and is to have what is flushed of the region") : behind;
    }

    /// <summary>Opens the store that has a region.</summary>
    /// <exception cref="BackendException">It cannot be opened.</exception>
    /// <exception cref="CommandException">It cannot be written.</exception>
    public async Task<IBackend> OpenRegionAsync(string uri, CancellationToken cancellationToken)
    {
        var store = await registry.OpenAsync(uri, new BackendOpenOptions { Timeout = timeout }, cancellationToken);
        _opened.Add(store);
        return store.IsReadOnly ? throw new CommandException($"{uri} cannot be written, and a region that moves is one that a program writes; 'farspan serve' serves it for reading") : store;
    }

    /// <summary>Takes the lease of the store that has a region, where it gives leases.</summary>
    /// <param name="store">The store.</param>
    /// <param name="region">Which region: the key, by which the lease of a process that was killed is had back at once.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The store as its owner sees it.</returns>
    /// <exception cref="BackendException">Another owns it.</exception>
    public async Task<IBackend> LeaseAsync(IBackend store, Guid region, CancellationToken cancellationToken)
    {
        if (store.GetCapability<ILeasing>() is not { } leasing)
            return store;
        var lease = await leasing.AcquireAsync($"{Environment.MachineName}, process {Environment.ProcessId}", region, cancellationToken);
        _opened.Add(lease);
        return lease.Backend;
    }

    /// <summary>Opens other stores that may have some of a region, for reading.</summary>
    /// <exception cref="BackendException">One cannot be opened.</exception>
    public async Task<IReadOnlyList<IBackend>> OpenSourcesAsync(IReadOnlyList<string> uris, CancellationToken cancellationToken)
    {
        var sources = new List<IBackend>();
        foreach (string uri in uris)
        {
            var source = await registry.OpenAsync(uri, new BackendOpenOptions { Timeout = timeout, ReadOnly = true }, cancellationToken);
            _opened.Add(source);
            sources.Add(source);
        }

        return sources;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var opened in Enumerable.Reverse(_opened))
            await opened.DisposeAsync();
    }
}
