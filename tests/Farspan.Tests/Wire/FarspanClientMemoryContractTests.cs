using Farspan.Backends;
using Farspan.TestKit.Contracts;
using Xunit;

namespace Farspan.Tests.Wire;

public sealed class FarspanClientMemoryContractTests : BackendContract, IAsyncLifetime
{
    private readonly List<WireHost> _hosts = [];

    protected override IReadOnlyCollection<Type> Powers => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IBlockSizes), typeof(IConcurrentWriters)];

    protected override int ModelRuns => 20;

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var host in _hosts)
            await host.DisposeAsync();
    }

    protected override async ValueTask<IBackend> CreateAsync(long length)
    {
        var host = new WireHost(_ => new MemoryBackend(length));
        _hosts.Add(host);
        return await host.ConnectAsync();
    }
}
