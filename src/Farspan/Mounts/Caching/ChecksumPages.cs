namespace Farspan.Mounts.Caching;

/// <summary>A checksum for each chunk, in pages that are made when they are first written: 4 bytes a chunk where chunks are clean. Not thread-safe.</summary>
internal sealed class ChecksumPages(long chunkCount)
{
    private const int PageShift = 12;

    private readonly uint[]?[] _pages = new uint[]?[(chunkCount + (1 << PageShift) - 1) >> PageShift];

    /// <summary>The checksum of a chunk; 0 where none was set.</summary>
    public uint this[long chunkIndex]
    {
        get => _pages[chunkIndex >> PageShift] is { } page ? page[chunkIndex & ((1 << PageShift) - 1)] : 0;
        set => (_pages[chunkIndex >> PageShift] ??= new uint[1 << PageShift])[chunkIndex & ((1 << PageShift) - 1)] = value;
    }
}
