namespace Farspan.Mounts.Caching;

/// <summary>What is noted of one chunk.</summary>
internal readonly record struct NotedChunk(NotedState State, uint Checksum);
