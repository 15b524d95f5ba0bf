using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.TestKit.Simulation;
using Xunit;

namespace Farspan.Nbd.Tests.Client;

/// <summary>The maps of states of a server, through the client.</summary>
public sealed class NbdClientStateMapTests
{
    private const int Size = 1 << 20;

    [Fact(Timeout = 60_000)]
    public async Task Maps_AreToldAsTheBackendTellsThem_AndAllocationBesideThem()
    {
        await using var backend = new MappedBackend(
            new MemoryBackend(Size), ("local", MappedBackend.Stripes(Size / 2)), ("dirty", MappedBackend.Stripes(Size / 4)), ("odd", (at, length) => [new(at, length, uint.MaxValue)]));
        await using var server = new LocalServer(backend);
        await using var client = await NbdClientBackend.ConnectAsync(server.Options with { StateMaps = true });
        var maps = client.GetCapability<IStateMaps>()!;
        Assert.Equal(["local", "dirty", "odd"], maps.MapNames);
        Assert.Equal([new(1000, Size / 2 - 1000, 0), new(Size / 2, Size / 2, 1)], await ListAsync(maps, "local", 1000, Size - 1000, 9));
        Assert.Equal([new(0, Size / 4, 0), new(Size / 4, Size / 4, 1)], await ListAsync(maps, "dirty", 0, Size, 2));
        Assert.Equal([new(5, 10, uint.MaxValue)], await ListAsync(maps, "odd", 5, 10, 9));
        Assert.Empty(await ListAsync(maps, "odd", 5, 0, 9));
        var extents = new List<Extent>();
        await client.GetCapability<IExtentSource>()!.ListExtentsAsync(0, Size, 9, extents);
        Assert.Equal([new(0, Size, ExtentKind.Hole | ExtentKind.Zero)], extents);
        await Assert.ThrowsAsync<ArgumentException>(async () => await ListAsync(maps, "other", 0, 1, 1));
    }

    [Theory(Timeout = 60_000)]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public async Task WithoutAskingOrWithoutMaps_ThereAreNone(bool hasMaps, bool asks)
    {
        var memory = new MemoryBackend(Size);
        await using var backend = hasMaps ? new MappedBackend(memory, ("local", MappedBackend.Stripes(Size / 2))) : (IBackend)memory;
        await using var server = new LocalServer(backend);
        await using var client = await NbdClientBackend.ConnectAsync(server.Options with { StateMaps = asks });
        Assert.Null(client.GetCapability<IStateMaps>());
        Assert.NotNull(client.GetCapability<IExtentSource>());
    }

    private static async Task<List<StateRun>> ListAsync(IStateMaps maps, string name, long offset, long length, int limit)
    {
        var runs = new List<StateRun>();
        await maps.ListStatesAsync(name, offset, length, limit, runs);
        return runs;
    }
}
