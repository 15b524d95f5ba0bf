using System.Net.Sockets;
using Farspan.Transports;

namespace Farspan.Tests.Wire;

/// <summary>Connects to a Unix socket, and breaks all its connections when told.</summary>
internal sealed class BreakableConnector(StreamEndpoint endpoint)
{
    private readonly List<Socket> _open = [];

    public int Connections { get; private set; }

    public Stream Connect()
    {
        var socket = Open(endpoint);
        lock (_open)
        {
            Connections++;
            _open.Add(socket);
        }

        return new NetworkStream(socket, ownsSocket: true);
    }

    public static Socket Open(StreamEndpoint endpoint)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(endpoint.Path!));
        return socket;
    }

    public void Break()
    {
        lock (_open)
        {
            foreach (var socket in _open)
            {
                try
                {
                    socket.Shutdown(SocketShutdown.Both);
                }
                catch (Exception error) when (error is SocketException or ObjectDisposedException)
                {
                    // Broken already.
                }
            }

            _open.Clear();
        }
    }
}
