namespace Farspan.Migration;

/// <summary>What a seeder has.</summary>
/// <param name="Length">Bytes of the region.</param>
/// <param name="ChunkSize">Bytes of a chunk.</param>
internal readonly record struct SeederDescription(long Length, int ChunkSize);
