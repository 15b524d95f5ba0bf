namespace Farspan.Mounts;

/// <summary>What a managed mount pulls that nobody has asked for.</summary>
public enum BackgroundPull
{
    /// <summary>Everything, in the pull order, as far as the cache has room; and ahead of readers.</summary>
    Everything,

    /// <summary>Only what lies ahead of a reader whose steps are regular.</summary>
    ReadAhead,

    /// <summary>Nothing.</summary>
    Nothing,
}
