namespace Farspan.Mounts.Tracing;

/// <summary>Neighbouring chunks that one call was the first to touch.</summary>
/// <param name="FirstChunk">The first of them.</param>
/// <param name="Count">How many, at least 1.</param>
/// <param name="IsWrite">Whether the call wrote; else it read.</param>
public readonly record struct PullTraceRun(long FirstChunk, long Count, bool IsWrite);
