namespace Farspan.Chunks;

/// <summary>A part of a request: a run of whole chunks, or a part of one chunk.</summary>
/// <param name="Offset">First byte, from the start of the backend.</param>
/// <param name="Length">Number of bytes, at least 1.</param>
/// <param name="IsWhole">Whether it covers whole chunks; otherwise it lies inside one.</param>
internal readonly record struct ChunkPiece(long Offset, long Length, bool IsWhole);
