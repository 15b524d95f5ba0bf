using Farspan.Backends;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.EndToEnd.Tests.Web;

public sealed class NginxContractTests : ReadOnlyBackendContract, IAsyncLifetime
{
    private readonly List<NginxPeer> _servers = [];

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var server in _servers)
            await server.DisposeAsync();
    }

    protected override async ValueTask<IBackend> CreateAsync(byte[] contents)
    {
        var server = await NginxPeer.StartAsync();
        _servers.Add(server);
        await File.WriteAllBytesAsync(server.PathOf("disk.img"), contents);
        return await new BackendRegistry().AddCoreBackends().OpenAsync($"{server.Address}/disk.img");
    }
}
