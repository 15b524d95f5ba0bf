using System.Net.Sockets;

namespace Farspan.Tests.Transports;

/// <summary>Two connected streams of a local socket pair.</summary>
internal sealed class StreamPair : IDisposable
{
    private StreamPair(NetworkStream near, NetworkStream far)
    {
        Near = near;
        Far = far;
    }

    public NetworkStream Near { get; }

    public NetworkStream Far { get; }

    public static async Task<StreamPair> ConnectAsync()
    {
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, 0));
        listener.Listen(1);
        var near = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        var accepting = listener.AcceptAsync();
        await near.ConnectAsync(listener.LocalEndPoint!);
        var far = await accepting;
        near.NoDelay = true;
        far.NoDelay = true;
        return new StreamPair(new NetworkStream(near, ownsSocket: true), new NetworkStream(far, ownsSocket: true));
    }

    public void Dispose()
    {
        Near.Dispose();
        Far.Dispose();
    }
}
