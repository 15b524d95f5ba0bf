using Farspan.Mounts;

namespace Farspan.Linux.Userfaults;

/// <summary>The state of a region at one moment.</summary>
public sealed record RemoteMemoryStatus
{
    /// <summary>Bytes of the region.</summary>
    public required long Length { get; init; }

    /// <summary>Bytes in memory, or on their way there.</summary>
    public required long ResidentBytes { get; init; }

    /// <summary>Bytes that views hold in memory.</summary>
    public required long HeldBytes { get; init; }

    /// <summary>Bytes written in memory that are not saved; whole pages.</summary>
    public required long UnsavedBytes { get; init; }

    /// <summary>Bytes brought since the region was opened.</summary>
    public required long BroughtBytes { get; init; }

    /// <summary>Bytes saved since the region was opened.</summary>
    public required long SavedBytes { get; init; }

    /// <summary>Bytes that made room for others.</summary>
    public required long EvictedBytes { get; init; }

    /// <summary>Page faults answered.</summary>
    public required long Faults { get; init; }

    /// <summary>The last error that no caller was given, or null.</summary>
    public required Exception? LastError { get; init; }

    /// <summary>The managed mount under the region, or null where it was opened over a backend.</summary>
    public required ManagedMountStatus? Managed { get; init; }
}
