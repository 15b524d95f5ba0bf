using Farspan.Backends;
using Farspan.TestKit.Transports;
using Farspan.Wire.Protocol;
using Farspan.Wire.Server;
using Xunit;

namespace Farspan.Tests.Wire;

/// <summary>One connection of a server after another, each on the caller's thread, to a client who has said all he will say.</summary>
internal sealed class InlineConnection : IAsyncDisposable
{
    private readonly FarspanServerOptions _options = new();
    private readonly FarspanServer _server;
    private readonly WireBufferPool _pool = new();
    private readonly MemoryBudget _budget = new(1L << 40);

    public InlineConnection(IBackend backend)
        : this(new FarspanExport { Backend = backend })
    {
    }

    public InlineConnection(FarspanExport export) => _server = new FarspanServer([export], _options);

    public ArrayChannel Channel { get; } = new();

    /// <summary>Makes all the buffers that requests in flight can hold, each for <paramref name="length"/> bytes of payload, and batches.</summary>
    public void FillPool(int length)
    {
        var buffers = Enumerable.Range(0, _options.MaximumRequestsInFlight + 8).Select(i => _pool.Rent(i < 8 ? 256 << 10 : WireFrame.Size + length)).ToList();
        buffers.ForEach(static buffer => buffer.Release());
    }

    /// <summary>Serves <paramref name="input"/> to its end; checks that nothing is left in flight.</summary>
    public void Run(ReadOnlyMemory<byte> input)
    {
        Channel.Reset(input);
        _server.Run(new WireConnection(Channel, _server, _options, _pool, _budget));
        Assert.Equal(0, _pool.Outstanding);
        Assert.Equal(0, _budget.Bytes);
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();
}
