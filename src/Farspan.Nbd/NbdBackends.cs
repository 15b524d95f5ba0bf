using Farspan.Backends;
using Farspan.Nbd.Client;

namespace Farspan.Nbd;

/// <summary>Registers the backends of this project.</summary>
public static class NbdBackends
{
    /// <summary>Registers <c>nbd:</c>, <c>nbd+unix:</c>, <c>nbds:</c> and <c>nbds+unix:</c>.</summary>
    public static BackendRegistry AddNbdBackends(this BackendRegistry registry)
    {
        ArgumentNullException.ThrowIfNull(registry);
        foreach (string scheme in NbdUri.Schemes)
            registry.Register(scheme, OpenAsync);
        return registry;
    }

    private static async ValueTask<IBackend> OpenAsync(BackendUri uri, BackendOpenOptions options, CancellationToken cancellationToken)
        => await NbdClientBackend.ConnectAsync(NbdUri.Parse(uri, options), cancellationToken);
}
