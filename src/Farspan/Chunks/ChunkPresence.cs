namespace Farspan.Chunks;

/// <summary>Where the bytes of a range are.</summary>
internal enum ChunkPresence
{
    /// <summary>At the remote only.</summary>
    Missing,

    /// <summary>In the cache.</summary>
    Here,

    /// <summary>Nowhere: they are zero.</summary>
    Zero,
}
