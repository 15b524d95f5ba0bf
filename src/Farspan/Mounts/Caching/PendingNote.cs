namespace Farspan.Mounts.Caching;

/// <summary>A note that waits for the data to be durable.</summary>
/// <param name="Checksum">Of a clean chunk; null for a whole one.</param>
/// <param name="Version">Tells it from an earlier note of the same chunk.</param>
internal readonly record struct PendingNote(uint? Checksum, long Version);
