namespace Farspan.Migration;

/// <summary>What a seeder has.</summary>
/// <param name="Length">Bytes of the region.</param>
/// <param name="ChunkSize">Bytes of a chunk.</param>
/// <param name="IsBacked">Whether a store stands behind the region that has all of it, durably, before it is handed over.</param>
internal readonly record struct SeederDescription(long Length, int ChunkSize, bool IsBacked = false);
