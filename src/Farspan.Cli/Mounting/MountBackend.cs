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
        uri.AllowOnly();
        if (uri.Authority is not null || uri.Path.Length == 0)
            throw new FormatException("a mount is named by its TARGET, as in mount:/mnt/disk.img");
        string target = TargetPath.ResolveMount(uri.Path);
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
}
