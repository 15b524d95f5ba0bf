namespace Farspan.Linux.Probes;

/// <summary>What trying a feature of the kernel showed.</summary>
/// <param name="Name">The feature, in one word.</param>
/// <param name="IsAvailable">Whether it can be used by this process now.</param>
/// <param name="Detail">What was found, or why it failed.</param>
/// <param name="Remedy">What to do to have it; empty where it is available.</param>
public sealed record KernelFeature(string Name, bool IsAvailable, string Detail, string Remedy);
