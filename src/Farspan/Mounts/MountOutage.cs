using Farspan.Backends;

namespace Farspan.Mounts;

/// <summary>The remote of a managed mount does not answer.</summary>
/// <param name="Since">When the first call failed.</param>
/// <param name="LastError">What the last call failed with.</param>
public sealed record MountOutage(DateTimeOffset Since, BackendException LastError);
