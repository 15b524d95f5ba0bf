using Farspan.Backends;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Tests.Wire;

public sealed class FarspanClientFileContractTests : BackendContract, IAsyncLifetime
{
    private readonly List<WireHost> _hosts = [];

    protected override IReadOnlyCollection<Type> Powers => [typeof(IBlockSizes), typeof(IConcurrentWriters)];

    protected override int ModelRuns => 5;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var host in _hosts)
            await host.DisposeAsync();
    }

    protected override async ValueTask<IBackend> CreateAsync(long length)
    {
        var host = new WireHost(path => FileBackend.Open(path, new FileBackendOptions { Length = length }));
        _hosts.Add(host);
        return await host.ConnectAsync();
    }
}
