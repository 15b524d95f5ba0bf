using Farspan.Backends;
using Farspan.Stages;
using Farspan.Wire.Client;

namespace Farspan.Wire;

/// <summary>Opens what Farspan servers serve.</summary>
internal static class FarspanBackends
{
    public static IReadOnlyList<string> Schemes => FarspanUri.Schemes;

    /// <summary>What is opened takes any offset and length, also where the server's backend has a minimum block size.</summary>
    public static async ValueTask<IBackend> OpenAsync(BackendUri uri, BackendOpenOptions options, CancellationToken cancellationToken)
    {
        var client = await FarspanClientBackend.ConnectAsync(FarspanUri.Parse(uri, options), cancellationToken);
        return client.BlockSizes.Minimum == 1 ? client : new ArbitraryAccessStage(client);
    }
}
