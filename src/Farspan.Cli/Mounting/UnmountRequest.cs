namespace Farspan.Cli.Mounting;

/// <summary>What <c>farspan umount</c> asks a mount's process for.</summary>
/// <param name="Force">Detach even while programs use the file, and cut them off after a while.</param>
internal sealed record UnmountRequest(bool Force);
