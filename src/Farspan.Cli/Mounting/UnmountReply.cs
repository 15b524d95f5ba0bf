namespace Farspan.Cli.Mounting;

/// <summary>What became of an <see cref="UnmountRequest"/>.</summary>
/// <param name="Unmounted">Whether TARGET is free.</param>
/// <param name="Error">What failed, as a sentence; null when everything is durable at the remote.</param>
internal sealed record UnmountReply(bool Unmounted, string? Error);
