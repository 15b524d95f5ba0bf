using System.Net.Security;
using System.Net.Sockets;
using Farspan.Backends;
using Farspan.Transports;

namespace Farspan.Wire;

/// <summary>
/// A connection's bytes, by blocking calls: one thread receives, one at a time sends, any may abort. Every failure of the line is an
/// <see cref="IOException"/>. Sockets are connected by a blocking call too: one that was used asynchronously answers blocking ones slowly.
/// </summary>
internal sealed class WireLine : IDisposable
{
    private readonly Stream _lowest;
    private readonly Socket? _socket;
    private Stream _stream;
    private int _aborted;

    /// <summary>Takes over a duplex stream whose directions may be used at once.</summary>
    public WireLine(Stream stream)
    {
        _stream = _lowest = stream;
        _socket = (stream as NetworkStream)?.Socket;
        SendRoom = _socket is null ? 0 : _socket.SendBufferSize / 2;
    }

    /// <summary>Bytes that can surely be sent without waiting while no more than that is unanswered; 0 where that is not known.</summary>
    public int SendRoom { get; }

    /// <summary>The stream that carries the protocol.</summary>
    public Stream Stream => _stream;

    /// <summary>Connects. <paramref name="cancellationToken"/> ends the wait.</summary>
    /// <exception cref="BackendException">The connection cannot be made.</exception>
    public static WireLine Connect(StreamEndpoint endpoint, CancellationToken cancellationToken)
    {
        var socket = endpoint.Path is null
            ? new Socket(SocketType.Stream, ProtocolType.Tcp)
            : new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            using (cancellationToken.UnsafeRegister(static s => ((Socket)s!).Dispose(), socket))
                socket.Connect(endpoint.ToEndPoint());
            cancellationToken.ThrowIfCancellationRequested();
            StreamDialer.Prepare(socket);
            return new WireLine(new NetworkStream(socket, ownsSocket: true));
        }
        catch (Exception error)
        {
            socket.Dispose();
            cancellationToken.ThrowIfCancellationRequested();
            if (error is not SocketException failure)
                throw;
            var kind = failure.SocketErrorCode == SocketError.AccessDenied ? BackendError.AccessDenied : BackendError.Disconnected;
            throw new BackendException(kind, $"Cannot connect to the Farspan server {endpoint}: {failure.Message}.", failure);
        }
    }

    /// <summary>Puts TLS over the line; before anything else uses it.</summary>
    public void Upgrade(SslStream secure) => _stream = secure;

    /// <summary>Receives at least one byte; 0 at the end.</summary>
    public int Receive(Span<byte> buffer)
    {
        try
        {
            return _stream.Read(buffer);
        }
        catch (Exception error) when (IsLoss(error))
        {
            throw new IOException($"The connection is lost: {error.Message}", error);
        }
    }

    /// <summary>Sends all of the bytes.</summary>
    public void Send(ReadOnlySpan<byte> bytes)
    {
        try
        {
            _stream.Write(bytes);
            if (_socket is null)
                _stream.Flush();
        }
        catch (Exception error) when (IsLoss(error))
        {
            throw new IOException($"The connection is lost: {error.Message}", error);
        }
    }

    /// <summary>Says that nothing more will be sent; what was sent still arrives.</summary>
    public void FinishSending()
    {
        try
        {
            _socket?.Shutdown(SocketShutdown.Send);
        }
        catch (Exception error) when (IsLoss(error))
        {
            // The peer was first.
        }
    }

    /// <summary>Ends the connection at once, from any thread; waiting calls return or throw.</summary>
    public void Abort()
    {
        if (Interlocked.Exchange(ref _aborted, 1) != 0)
            return;
        try
        {
            if (_socket is not null)
                _socket.Shutdown(SocketShutdown.Both);
            else
                _lowest.Dispose();
        }
        catch (Exception error) when (IsLoss(error))
        {
            // The peer was first.
        }
    }

    public void Dispose()
    {
        Interlocked.Exchange(ref _aborted, 1);
        if (!ReferenceEquals(_stream, _lowest))
            _stream.Dispose();
        _lowest.Dispose();
    }

    private static bool IsLoss(Exception error)
        => error is IOException or SocketException or ObjectDisposedException or InvalidOperationException
            or System.Security.Authentication.AuthenticationException;
}
