namespace Farspan.Cli.Mounting;

/// <summary>What <c>farspan mount --foreground --json</c> prints when a managed mount has ended.</summary>
/// <param name="UnpushedBytes">Bytes that were written and are not known to be durable at the remote.</param>
/// <param name="KeptIn">The cache directory that keeps them; null where none does.</param>
/// <param name="Error">Why they are left.</param>
internal sealed record ClosedMount(long UnpushedBytes, string? KeptIn, string? Error);
