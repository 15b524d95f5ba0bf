using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.Stages;

namespace Farspan.Nbd;

/// <summary>Registers the backends of this project.</summary>
public static class NbdBackends
{
    /// <summary>
    /// Registers <c>nbd:</c>, <c>nbd+unix:</c>, <c>nbds:</c> and <c>nbds+unix:</c>. What is opened takes any offset and length, also where the
    /// server has a minimum block size.
    /// </summary>
    public static BackendRegistry AddNbdBackends(this BackendRegistry registry)
    {
        ArgumentNullException.ThrowIfNull(registry);
        foreach (string scheme in NbdUri.Schemes)
            registry.Register(scheme, OpenAsync);
        return registry;
    }

    private static async ValueTask<IBackend> OpenAsync(BackendUri uri, BackendOpenOptions options, CancellationToken cancellationToken)
    {
        var client = await NbdClientBackend.ConnectAsync(NbdUri.Parse(uri, options), cancellationToken);
        return client.BlockSizes.Minimum == 1 ? client : new ArbitraryAccessStage(client);
    }
}
