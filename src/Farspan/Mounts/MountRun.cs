namespace Farspan.Mounts;

/// <summary>A run of bytes of a managed mount that are all local or all not; or all dirty or all not.</summary>
/// <param name="Offset">First byte.</param>
/// <param name="Length">Number of bytes, at least 1.</param>
/// <param name="IsSet">Whether they are.</param>
public readonly record struct MountRun(long Offset, long Length, bool IsSet);
