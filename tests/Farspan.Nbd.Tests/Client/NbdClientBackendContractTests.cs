using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Nbd.Tests.Client;

public sealed class NbdClientBackendContractTests : BackendContract, IAsyncLifetime
{
    private readonly List<LocalServer> _servers = [];

    protected override IReadOnlyCollection<Type> Powers
        => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IBlockSizes), typeof(IConcurrentWriters)];

    protected override int ModelRuns => 20;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var server in _servers)
            await server.DisposeAsync();
    }

    protected override async ValueTask<IBackend> CreateAsync(long length)
    {
        var server = new LocalServer(new MemoryBackend(length));
        _servers.Add(server);
        return await NbdClientBackend.ConnectAsync(server.Options);
    }
}
