namespace Farspan.Stages;

/// <summary>How a <see cref="ChunkedStage"/> cuts requests.</summary>
/// <param name="ChunkSize">Bytes of a chunk; a power of two.</param>
/// <param name="MaximumRun">Bytes of the longest run of whole chunks in one request below; a multiple of the chunk size.</param>
/// <param name="Width">Pieces of one request under way at once.</param>
internal readonly record struct ChunkedPlan(int ChunkSize, int MaximumRun, int Width);
