using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Mounts.Caching;

/// <summary>The cache that a mount's options ask for.</summary>
internal static class CacheChoice
{
    public static ValueTask<IChunkCache> OpenAsync(ChunkLayout layout, ManagedMountOptions options, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (options.CacheDirectory is not null)
            throw new BackendException(BackendError.NotSupported, "Cache directories are not there yet.");
        return new ValueTask<IChunkCache>(new MemoryChunkCache(layout, options.CacheSizeLimit));
    }
}
