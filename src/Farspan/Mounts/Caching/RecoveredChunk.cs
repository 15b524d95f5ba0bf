namespace Farspan.Mounts.Caching;

/// <summary>What a cache knows of one chunk when it is opened again; chunks that it does not name are not here.</summary>
/// <param name="Index">Which chunk.</param>
/// <param name="IsWhole">Whether all of it is here; else only the dirty ranges are.</param>
/// <param name="DirtyRanges">What the remote may not have, as ranges inside the chunk by rising start, not touching; empty for a clean chunk.</param>
/// <param name="UnprovenChecksum">
/// For a clean chunk after a loss of power: the CRC-32C that its bytes must have, checked before they are used; a chunk that fails is
/// discarded and pulled again. Null where the bytes are known to be good.
/// </param>
internal readonly record struct RecoveredChunk(long Index, bool IsWhole, IReadOnlyList<(int Start, int Length)> DirtyRanges, uint? UnprovenChecksum);
