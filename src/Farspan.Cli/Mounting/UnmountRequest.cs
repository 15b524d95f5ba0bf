namespace Farspan.Cli.Mounting;

/// <summary>What <c>farspan umount</c> asks a mount's process for.</summary>
/// <param name="Lazy">Detach even while programs use the file; they keep it until they close it.</param>
/// <param name="Force">Detach and end at once; programs that use the file get errors.</param>
internal sealed record UnmountRequest(bool Lazy, bool Force);
