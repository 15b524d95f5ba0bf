namespace Farspan.Backends;

/// <summary>What an opener is told beside the URI.</summary>
public sealed record BackendOpenOptions
{
    /// <summary>Open for reading only. Default: false, which still opens read-only where the store allows no more.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Time for connecting and for each request to a remote store. Default: 30 s. More than zero.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The clock. Default: the system's.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;
}
