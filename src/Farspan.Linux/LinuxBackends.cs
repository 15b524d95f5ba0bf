using Farspan.Backends;
using Farspan.Backends.Leases;
using Farspan.Linux.Files;
using Farspan.Mounts;

namespace Farspan.Linux;

/// <summary>Registers the backends that need the Linux kernel.</summary>
public static class LinuxBackends
{
    /// <summary>
    /// Registers, in place of the portable ones, <c>file:PATH?size=SIZE&amp;direct=on&amp;lock=off</c> (<see cref="LinuxFileBackend"/>, see
    /// <see cref="FileBackendOptions"/>) and <c>directory:</c> with a flush that makes names durable too (<see cref="DirectorySync"/>).
    /// </summary>
    public static BackendRegistry AddLinuxBackends(this BackendRegistry registry)
    {
        ArgumentNullException.ThrowIfNull(registry);
        return registry.Register("file", OpenFileAsync).Register("directory", OpenDirectoryAsync);
    }

    /// <summary>Has a managed mount's cache directory give space back, and make its names durable, as Linux can, where the options do not say how.</summary>
    public static ManagedMountOptions WithLinuxFiles(this ManagedMountOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);

        // Without a lock of its own: the directory has one.
        return options with
        {
            OpenCacheFile = options.OpenCacheFile ?? (path => LinuxFileBackend.Open(path, new FileBackendOptions { Lock = false }, options.Clock)),
            SyncDirectory = options.SyncDirectory ?? DirectorySync.Sync,
        };
    }

    private static async ValueTask<IBackend> OpenFileAsync(BackendUri uri, BackendOpenOptions options, CancellationToken cancellationToken)
    {
        var parsed = FileBackendOptions.Parse(uri, options);
        string path = FileBackendOptions.PathOf(uri);
        var file = LinuxFileBackend.Open(path, parsed, options.Clock);

        // Nothing is kept beside a device.
        return parsed.Lock && !file.IsBlockDevice ? await LocalLeasing.OfferAsync(file, path, options.Clock) : file;
    }

    private static async ValueTask<IBackend> OpenDirectoryAsync(BackendUri uri, BackendOpenOptions options, CancellationToken cancellationToken)
    {
        var parsed = DirectoryBackendOptions.Parse(uri, options) with { SyncDirectory = DirectorySync.Sync };
        string path = FileBackendOptions.PathOf(uri);
        return await LocalLeasing.OfferAsync(DirectoryBackend.Open(path, parsed), path, options.Clock);
    }
}
