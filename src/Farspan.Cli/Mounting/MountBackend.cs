using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.Transports;

namespace Farspan.Cli.Mounting;

/// <summary><c>mount:TARGET</c>: what a running mount of this user shows, for reading, from the mount's own process.</summary>
internal static class MountBackend
{
    /// <summary>Registers the scheme.</summary>
    public static BackendRegistry AddMounts(this BackendRegistry registry) => registry.Register("mount", OpenAsync);

    private static async ValueTask<IBackend> OpenAsync(BackendUri uri, BackendOpenOptions options, CancellationToken cancellationToken)
    {
        string target = TargetPath.ResolveMount(Named(uri));
        if (RuntimeDirectory.Find() is not { } directory || MountRecord.Find(directory, target) is not { IsServed: true } record)
            throw new BackendException(BackendError.NotFound, $"There is no running Farspan mount at {target}; 'farspan status' lists those that run.");
        return await NbdClientBackend.ConnectAsync(
            new NbdClientOptions
            {
                Endpoint = StreamEndpoint.Unix(record.ExportSocket),
                ReadOnly = true,
                StateMaps = true,
                ConnectTimeout = options.Timeout,
                RequestTimeout = options.Timeout,

                // A mount that has ended does not come back.
                ReconnectTimeout = TimeSpan.Zero,
                Clock = options.Clock,
            },
            cancellationToken);
    }

    private static string Named(BackendUri uri)
    {
        // A mount without a file is named by the URI at which it is served, which may have parameters of its own.
        string rest = uri.Text[(uri.Scheme.Length + 1)..];
        if (rest.Contains("://", StringComparison.Ordinal))
            return rest;
        uri.AllowOnly();
        return uri.Authority is null && uri.Path.Length > 0
            ? uri.Path
            : throw new FormatException("a mount is named by its TARGET, as in mount:/mnt/disk.img");
    }
}
