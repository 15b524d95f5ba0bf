namespace Farspan.Backends;

/// <summary>A run of bytes with the same flags in one map of an <see cref="IStateMaps"/>.</summary>
/// <param name="Offset">First byte, from the start of the backend.</param>
/// <param name="Length">Number of bytes, at least 1.</param>
/// <param name="Flags">What the map says of them; in the maps of Farspan itself 1 is yes and 0 is no.</param>
public readonly record struct StateRun(long Offset, long Length, uint Flags);
