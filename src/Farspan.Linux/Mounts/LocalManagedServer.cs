using Farspan.Mounts;

namespace Farspan.Linux.Mounts;

/// <summary>A managed mount in this process.</summary>
internal sealed class LocalManagedServer(ManagedBackend backend) : IManagedServer
{
    public ValueTask<ManagedMountStatus> GetStatusAsync(CancellationToken cancellationToken) => new(backend.Status);

    public async Task<MountCloseReport?> GetReportAsync() => await backend.CloseAsync();
}
