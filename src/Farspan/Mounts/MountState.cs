namespace Farspan.Mounts;

/// <summary>Where a mount is in its life.</summary>
public enum MountState
{
    /// <summary>It can be used.</summary>
    Open,

    /// <summary>It is being taken down. It goes back to <see cref="Open"/> when that is refused because programs still use it.</summary>
    Closing,

    /// <summary>It has ended, and everything that was written is at the remote.</summary>
    Closed,

    /// <summary>It has ended, and something went wrong on the way: its completion says what.</summary>
    Faulted,
}
