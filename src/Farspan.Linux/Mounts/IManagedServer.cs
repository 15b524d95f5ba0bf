using Farspan.Mounts;

namespace Farspan.Linux.Mounts;

/// <summary>What serves a managed mount: this process, or another.</summary>
internal interface IManagedServer
{
    /// <summary>Asks for the state at this moment.</summary>
    /// <exception cref="MountException">The other process does not answer.</exception>
    ValueTask<ManagedMountStatus> GetStatusAsync(CancellationToken cancellationToken);

    /// <summary>What was left when the mount had ended; null where nobody could say. Asked for after that.</summary>
    Task<MountCloseReport?> GetReportAsync();
}
