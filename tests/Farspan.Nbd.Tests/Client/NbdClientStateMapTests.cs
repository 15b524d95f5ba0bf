using Farspan.Backends;
using Farspan.Nbd.Client;
using Farspan.Nbd.Protocol;
using Farspan.TestKit.Simulation;
using Farspan.Transports;
using Xunit;

namespace Farspan.Nbd.Tests.Client;

/// <summary>The maps of states of a server, through the client.</summary>
public sealed class NbdClientStateMapTests
{
    private const int Size = 1 << 20;

    [Fact(Timeout = 120_000)]
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

    [Theory(Timeout = 120_000)]
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

    [Theory]
    [InlineData("a", new uint[] { 1, 7, 9 }, 7u)]
    [InlineData("b", new uint[] { 9, 1, 7 }, 9u)]
    [InlineData(null, new uint[] { 7, 9, 1 }, 1u)]
    public void Reply_OfSeveralContexts_KeepsTheOneThatWasAskedFor(string? map, uint[] contexts, uint flags)
        => Assert.Equal([new Extent(0, 4096, (ExtentKind)flags)], Read(map, contexts));

    [Theory]
    [InlineData("a", new uint[] { 7, 7 })]
    [InlineData("a", new uint[] { 9, 9, 7 })]
    [InlineData("a", new uint[] { 7, 8 })]
    [InlineData("a", new uint[] { 1, 9 })]
    [InlineData(null, new uint[] { 7, 9 })]
    public void Reply_WithAContextTwice_OrWithout_OrNotAgreed_IsAProtocolError(string? map, uint[] contexts)
        => Assert.Equal(BackendError.Protocol, Assert.Throws<BackendException>(() => Read(map, contexts)).Error);

    [Theory]
    [InlineData("x-farspan:a", 7u, "x-farspan:a", 8u)]
    [InlineData("x-farspan:a", 7u, "base:allocation", 7u)]
    [InlineData("x-farspan:a", 7u, "x-farspan:b", 8u)]
    public void Selection_WithANameOrAnIdTwice_OrOneNotListed_IsAProtocolError(string first, uint firstId, string second, uint secondId)
        => Assert.Equal(BackendError.Protocol, Assert.Throws<BackendException>(() => Enter((first, firstId), (second, secondId))).Error);

    [Fact]
    public void Selection_LeavesOutWhatTheServerLeavesOut()
    {
        var export = Enter(("x-farspan:a", 7));
        Assert.Null(export.AllocationContext);
        Assert.Equal([("a", 7u)], export.StateMaps);
        Assert.NotNull((export with { StateMaps = [] }).DifferenceFrom(export));
        Assert.Null((export with { StateMaps = [("b", 1), ("a", 9)] }).DifferenceFrom(export));
    }

    private static List<Extent> Read(string? map, uint[] contexts)
    {
        var target = new RecordingTarget(5, NbdCommand.BlockStatus, 0, 4096, 10, map);
        byte[][] chunks = [.. contexts.Select((id, at) => ServerBytes.StatusChunk(5, id, [(4096, id)], isDone: at == contexts.Length - 1))];
        using var stream = new MemoryStream([.. chunks.SelectMany(chunk => chunk)]);
        var wire = new WireReader(stream, new byte[16 << 10]);
        var reader = new ReplyReader(wire, target, ReplyReaderTests.Export(extended: false) with { AllocationContext = 1, StateMaps = [("a", 7), ("b", 9)] });
        for (int i = 0; i < contexts.Length; i++)
            reader.ReadMessage();
        return [.. target.Finished.Single().Extents];
    }

    private static ExportDescription Enter(params (string Name, uint Id)[] selected)
    {
        byte[][] said =
        [
            .. ClientHandshakeTests.Decent[..3],
            ServerBytes.ContextReply(NbdOption.ListMetaContext, 0, "x-farspan:a"),
            ServerBytes.ContextReply(NbdOption.ListMetaContext, 0, "x-other:c"),
            ServerBytes.Reply(NbdOption.ListMetaContext, NbdOptionReply.Ack),
            .. selected.Select(context => ServerBytes.ContextReply(NbdOption.SetMetaContext, context.Id, context.Name)),
            .. ClientHandshakeTests.Decent[4..],
        ];
        using var stream = new CannedStream([.. said.SelectMany(message => message)]);
        return ClientHandshake.Enter(new NbdTransport(stream, 0), new NbdClientOptions { Endpoint = StreamEndpoint.Unix("/nowhere"), StateMaps = true });
    }

    private static async Task<List<StateRun>> ListAsync(IStateMaps maps, string name, long offset, long length, int limit)
    {
        var runs = new List<StateRun>();
        await maps.ListStatesAsync(name, offset, length, limit, runs);
        return runs;
    }
}
