using Farspan.Chunks;

namespace Farspan.Mounts.Caching;

/// <summary>The cache that a mount's options ask for.</summary>
internal static class CacheChoice
{
    private const string BootIdFile = "/proc/sys/kernel/random/boot_id";

    /// <exception cref="Backends.BackendException">The cache directory is in use, of another remote, damaged, or cannot be made.</exception>
    public static async ValueTask<IChunkCache> OpenAsync(ChunkLayout layout, ManagedMountOptions options, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (options.CacheDirectory is null)
            return new MemoryChunkCache(layout, options.CacheSizeLimit, options.OpenCacheMemory);
        return await DirectoryChunkCache.OpenAsync(new DirectoryCacheOptions
        {
            Files = CacheDirectory.Open(options.CacheDirectory, options.OpenCacheFile, options.SyncDirectory),
            Remote = options.RemoteName!,
            Length = layout.Length,
            ChunkSize = layout.ChunkSize,
            BootId = await BootIdAsync(cancellationToken),
            Clock = options.Clock,
        });
    }

    private static async ValueTask<string> BootIdAsync(CancellationToken cancellationToken)
        => File.Exists(BootIdFile) ? (await File.ReadAllTextAsync(BootIdFile, cancellationToken)).Trim() : Guid.NewGuid().ToString();
}
