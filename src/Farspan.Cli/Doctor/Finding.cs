using Farspan.Linux.Probes;

namespace Farspan.Cli.Doctor;

/// <summary>One line of <c>farspan doctor</c>.</summary>
/// <param name="Name">What was tried.</param>
/// <param name="State">Whether it works.</param>
/// <param name="For">What Farspan uses it for.</param>
/// <param name="Detail">What was seen.</param>
/// <param name="Remedy">How to get it; null where it works.</param>
internal sealed record Finding(string Name, FindingState State, string For, string Detail, string? Remedy = null)
{
    /// <summary>The finding for an optional feature of the kernel.</summary>
    public static Finding Of(KernelFeature feature, string purpose)
        => feature.IsAvailable
            ? new Finding(feature.Name, FindingState.Ok, purpose, feature.Detail)
            : new Finding(feature.Name, FindingState.Missing, purpose, feature.Detail, feature.Remedy);
}
