using System.Net.Sockets;
using Farspan.Backends;
using Farspan.Transports;

namespace Farspan.Nbd.Client;

/// <summary>
/// One byte stream to a server, used with blocking calls: one thread reads, one writes. The socket is connected with a blocking call too,
/// since a socket that was once used asynchronously answers a blocking read through two threads, at half the speed.
/// </summary>
internal sealed class NbdTransport : IDisposable
{
    private readonly Socket? _socket;
    private readonly Stream _lowest;

    /// <summary>Takes the stream over; <paramref name="sendRoom"/> bytes can be written without waiting for the reader at the other end.</summary>
    public NbdTransport(Stream stream, int sendRoom)
    {
        _lowest = Stream = stream;
        SendRoom = sendRoom;
    }

    private NbdTransport(NetworkStream stream)
        : this(stream, stream.Socket.SendBufferSize / 2)
        => _socket = stream.Socket;

    /// <summary>The stream that carries the protocol: the lowest one, or TLS over it.</summary>
    public Stream Stream { get; private set; }

    /// <summary>Bytes that a write may hold, with all that was not answered yet, and still surely not block.</summary>
    public int SendRoom { get; }

    /// <summary>Bytes that can be read without waiting; 0 where that is not known.</summary>
    public int Arrived
    {
        get
        {
            try
            {
                return _socket is not null && ReferenceEquals(Stream, _lowest) ? _socket.Available : 0;
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException)
            {
                return 0;
            }
        }
    }

    /// <summary>Connects with a blocking call. <paramref name="cancellationToken"/> ends the wait by closing the socket.</summary>
    /// <exception cref="BackendException">The connection cannot be made.</exception>
    /// <exception cref="OperationCanceledException">The token ended the wait.</exception>
    public static NbdTransport Connect(StreamEndpoint endpoint, CancellationToken cancellationToken)
        => new(StreamDialer.Connect(endpoint, "NBD server", cancellationToken));

    /// <summary>Puts TLS over the stream.</summary>
    public void Upgrade(Stream encrypted) => Stream = encrypted;

    /// <summary>Ends every blocked read and write, at once and from any thread.</summary>
    public void Abort()
    {
        if (_socket is not null)
            _socket.Dispose();
        else
            _lowest.Dispose();
    }

    /// <summary>Says that nothing more will be written, after the last request. What the server still sends can be read.</summary>
    public void EndWriting()
    {
        try
        {
            if (Stream is System.Net.Security.SslStream tls)
                tls.ShutdownAsync().Wait(TimeSpan.FromSeconds(1));
            _socket?.Shutdown(SocketShutdown.Send);
        }
        catch (Exception error) when (error is IOException or SocketException or ObjectDisposedException or InvalidOperationException or AggregateException)
        {
            // The server was faster to close.
        }
    }

    public void Dispose()
    {
        if (!ReferenceEquals(Stream, _lowest))
            Stream.Dispose();
        _lowest.Dispose();
    }
}
