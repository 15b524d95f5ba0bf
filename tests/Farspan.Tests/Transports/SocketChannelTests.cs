using System.Net;
using System.Net.Sockets;
using Farspan.Transports;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Tests.Transports;

public sealed class SocketChannelTests
{
    [Theory(Timeout = 240_000)]
    [InlineData(true, 1)]
    [InlineData(true, 16)]
    [InlineData(true, 4112)]
    [InlineData(true, 65536)]
    [InlineData(true, 131072)]
    [InlineData(false, 1)]
    [InlineData(false, 4112)]
    [InlineData(false, 131072)]
    public async Task SendingWhatThereIsRoomFor_NeverWaits(bool unix, int size)
    {
        using var directory = new TemporaryDirectory();
        var (peer, socket) = Pair(unix, directory["s"]);
        using var line = new SocketChannel(new NetworkStream(socket, ownsSocket: true));
        using var own = peer;
        byte[] bytes = new byte[size];
        for (int round = 0; round < 3; round++)
        {
            // A send that waits would do so forever: nobody reads.
            int sent = await Task.Factory.StartNew(
                () =>
                {
                    int count = 0;
                    for (; line.SendRoom(size) >= size; count += size)
                        line.Send(bytes);
                    return count;
                },
                TaskCreationOptions.LongRunning).WaitAsync(TimeSpan.FromSeconds(60));
            Assert.True(round > 0 || sent > 0);

            // What was read makes room again, soon or at once.
            for (int left = sent; left > 0;)
                left -= peer.Receive(new byte[Math.Min(left, 1 << 16)]);
        }
    }

    [Fact]
    public void UnixSocket_HasRoomForAReplyOfNbdcopy()
    {
        using var directory = new TemporaryDirectory();
        var (peer, socket) = Pair(unix: true, directory["s"]);
        using var line = new SocketChannel(new NetworkStream(socket, ownsSocket: true));
        using var own = peer;
        Assert.True(line.SendRoom((256 << 10) + 16) >= (256 << 10) + 16 || socket.SendBufferSize < 512 << 10, "The system does not grant the buffer.");
    }

    private static (Socket Peer, Socket Socket) Pair(bool unix, string path)
    {
        EndPoint place = unix ? new UnixDomainSocketEndPoint(path) : new IPEndPoint(IPAddress.Loopback, 0);
        var type = unix ? ProtocolType.Unspecified : ProtocolType.Tcp;
        using var listener = new Socket(place.AddressFamily, SocketType.Stream, type);
        listener.Bind(place);
        listener.Listen();
        var peer = new Socket(place.AddressFamily, SocketType.Stream, type);

        // Else the other side takes megabytes before this one is full, byte by byte.
        if (!unix)
            peer.ReceiveBufferSize = 16 << 10;
        peer.Connect(listener.LocalEndPoint!);
        return (peer, listener.Accept());
    }
}
