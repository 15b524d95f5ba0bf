using Farspan.Backends;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.EndToEnd.Tests.NbdClient;

/// <summary>Without zero requests: nbdkit's memory forgets that storage was to stay allocated.</summary>
public sealed class NbdkitMemoryContractTests : BackendContract, IAsyncLifetime
{
    private readonly List<NbdPeer> _servers = [];

    protected override IReadOnlyCollection<Type> Powers => [typeof(ITrim), typeof(IExtentSource), typeof(IBlockSizes), typeof(IConcurrentWriters)];

    protected override int ModelRuns => 10;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var server in _servers)
            await server.DisposeAsync();
    }

    protected override async ValueTask<IBackend> CreateAsync(long length)
    {
        var server = await NbdPeer.StartAsync("--filter=nozero", "memory", $"{length}");
        _servers.Add(server);
        return await server.ConnectAsync();
    }
}
