using System.Net;
using System.Net.Sockets;

namespace Farspan.EndToEnd.Tests.NbdServer;

/// <summary>Connects one TLS program that knows nothing of NBD to a server, after saying NBD's words before the TLS handshake for it.</summary>
internal sealed class StartTlsRelay : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly TcpClient _server = new();
    private Task? _relaying;

    private StartTlsRelay()
    {
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public static async Task<StartTlsRelay> StartAsync(int serverPort, byte[] startTls)
    {
        var relay = new StartTlsRelay();
        await relay._server.ConnectAsync(IPAddress.Loopback, serverPort);
        var server = relay._server.GetStream();
        await server.ReadExactlyAsync(new byte[18]);
        await server.WriteAsync((byte[])[0, 0, 0, 3, .. startTls]);
        await server.ReadExactlyAsync(new byte[20]);
        relay._listener.Start();
        relay._relaying = relay.RelayAsync(server);
        return relay;
    }

    public void Dispose()
    {
        _listener.Stop();
        _server.Dispose();
        _relaying?.ContinueWith(t => t.Exception, TaskScheduler.Default).Wait();
    }

    private async Task RelayAsync(NetworkStream server)
    {
        using var client = await _listener.AcceptTcpClientAsync();
        var stream = client.GetStream();
        await Task.WhenAny(stream.CopyToAsync(server), server.CopyToAsync(stream));
    }
}
