namespace Farspan.Linux.Userfaults.Agents;

/// <summary>The state of memory that an agent serves, at one moment.</summary>
public sealed record AgentMemoryStatus
{
    /// <summary>Bytes of the region.</summary>
    public required long Length { get; init; }

    /// <summary>Bytes in memory, or on their way there.</summary>
    public required long ResidentBytes { get; init; }

    /// <summary>Bytes written in memory that are not saved; whole pages.</summary>
    public required long UnsavedBytes { get; init; }

    /// <summary>Bytes brought since the region was mapped.</summary>
    public required long BroughtBytes { get; init; }

    /// <summary>Bytes saved since the region was mapped.</summary>
    public required long SavedBytes { get; init; }

    /// <summary>Bytes that made room for others.</summary>
    public required long EvictedBytes { get; init; }

    /// <summary>Page faults answered.</summary>
    public required long Faults { get; init; }
}
