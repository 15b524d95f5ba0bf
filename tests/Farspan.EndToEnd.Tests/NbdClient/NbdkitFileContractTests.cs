using Farspan.Backends;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.EndToEnd.Tests.NbdClient;

/// <summary>Without extents: nbdkit calls storage that is allocated and never written a hole.</summary>
public sealed class NbdkitFileContractTests : BackendContract, IAsyncLifetime
{
    private readonly List<NbdPeer> _servers = [];

    protected override IReadOnlyCollection<Type> Powers
        => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IBlockSizes), typeof(IConcurrentWriters)];

    protected override bool IsPersistent => true;

    protected override int ModelRuns => 10;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var server in _servers)
            await server.DisposeAsync();
    }

    protected override async ValueTask<IBackend> CreateAsync(long length)
    {
        var server = await NbdPeer.StartFileAsync(length, "--filter=noextents");
        _servers.Add(server);
        return await server.ConnectAsync();
    }

    protected override async ValueTask<IBackend> ReopenAsync(long length)
    {
        await _servers[^1].RestartAsync();
        return await _servers[^1].ConnectAsync();
    }
}
