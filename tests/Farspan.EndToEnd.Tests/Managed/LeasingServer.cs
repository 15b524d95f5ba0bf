using Farspan.Backends;
using Farspan.Transports;
using Farspan.Wire.Server;

namespace Farspan.EndToEnd.Tests.Managed;

/// <summary>A server of our own wire inside the test, over memory, with the time for silent holders that a test wants.</summary>
internal sealed class LeasingServer : IAsyncDisposable
{
    private readonly MemoryBackend _bytes;
    private readonly FarspanServer _server;
    private readonly StreamListener _listener;
    private readonly Task _serving;

    public LeasingServer(string socket, int length, TimeSpan leaseTimeout)
    {
        _bytes = new MemoryBackend(length);
        _server = new FarspanServer([new FarspanExport { Backend = _bytes }], new FarspanServerOptions { LeaseTimeout = leaseTimeout });
        _listener = StreamListener.Bind(StreamEndpoint.Unix(socket));
        _serving = _server.ServeAsync(_listener);
    }

    public async Task<byte> ByteAsync(long offset)
    {
        byte[] bytes = new byte[1];
        await _bytes.ReadAsync(offset, bytes);
        return bytes[0];
    }

    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _serving;
        await _server.DisposeAsync();
        await _bytes.DisposeAsync();
    }
}
