namespace Farspan.Mounts;

/// <summary>The state of a managed mount at one moment.</summary>
public sealed record ManagedMountStatus
{
    /// <summary>Where the mount is in its life.</summary>
    public required MountState State { get; init; }

    /// <summary>Bytes of the region.</summary>
    public required long Length { get; init; }

    /// <summary>Bytes of a chunk.</summary>
    public required int ChunkSize { get; init; }

    /// <summary>Bytes that are local: of whole chunks, and of chunks known to be zero.</summary>
    public required long LocalBytes { get; init; }

    /// <summary>Bytes that were written and that no flush of the remote has covered; bytes written anew while they were sent may count twice.</summary>
    public required long DirtyBytes { get; init; }

    /// <summary>Bytes that became zero and of which the remote does not know yet.</summary>
    public required long DirtyZeroBytes { get; init; }

    /// <summary>Bytes of pulls in flight.</summary>
    public required long PullingBytes { get; init; }

    /// <summary>Bytes of pushes in flight.</summary>
    public required long PushingBytes { get; init; }

    /// <summary>Bytes pulled since the mount was opened.</summary>
    public required long PulledBytes { get; init; }

    /// <summary>Bytes pushed since the mount was opened.</summary>
    public required long PushedBytes { get; init; }

    /// <summary>Bytes a second that pulls bring, lately.</summary>
    public required double PullRate { get; init; }

    /// <summary>Bytes a second that pushes take, lately.</summary>
    public required double PushRate { get; init; }

    /// <summary>The outage that lasts, or null.</summary>
    public required MountOutage? Outage { get; init; }

    /// <summary>The last error of the remote or the cache that no caller was given, or null.</summary>
    public required Exception? LastError { get; init; }

    /// <summary>The epoch of the lease, or null without one.</summary>
    public required long? LeaseEpoch { get; init; }

    /// <summary>Whether the lease was lost to a newer one: writes are refused, and what is dirty stays here.</summary>
    public required bool IsFenced { get; init; }
}
