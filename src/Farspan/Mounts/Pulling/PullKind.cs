namespace Farspan.Mounts.Pulling;

/// <summary>Why chunks are pulled.</summary>
internal enum PullKind
{
    /// <summary>A reader needs them.</summary>
    Demand,

    /// <summary>A reader will need them soon.</summary>
    Ahead,

    /// <summary>It is their turn.</summary>
    Background,
}
