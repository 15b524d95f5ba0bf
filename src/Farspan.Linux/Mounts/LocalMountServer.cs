using Farspan.Backends;
using Farspan.Linux.Fuse;

namespace Farspan.Linux.Mounts;

/// <summary>Serves from this process; owns the backend where the mount has opened it.</summary>
internal sealed class LocalMountServer : IMountServer
{
    private readonly FuseMount _mount;
    private readonly IBackend? _owned;

    public LocalMountServer(FuseMount mount, IBackend? owned)
    {
        _mount = mount;
        _owned = owned;
        Completion = CompleteAsync();
    }

    public string Path => _mount.Path;

    public int ProcessId => Environment.ProcessId;

    public bool IsThisProcess => true;

    public Task Completion { get; }

    public async Task UnmountAsync(CancellationToken cancellationToken)
    {
        await _mount.UnmountAsync(cancellationToken);
        await Completion;
    }

    public async ValueTask DisposeAsync()
    {
        await _mount.DisposeAsync();
        await Completion;
    }

    private async Task CompleteAsync()
    {
        try
        {
            await _mount.Completion;
        }
        finally
        {
            if (_owned is not null)
                await _owned.DisposeAsync();
        }
    }
}
