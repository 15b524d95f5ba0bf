using System.Net.Sockets;
using Farspan.Backends;

namespace Farspan.Transports;

/// <summary>Opens outgoing byte streams.</summary>
public static class StreamDialer
{
    /// <summary>
    /// Connects to an endpoint, trying each address of a name in turn. TCP connections have Nagle's delay off and keep-alive on. The caller
    /// owns the stream, which owns its socket.
    /// </summary>
    /// <param name="endpoint">Where to.</param>
    /// <param name="timeout">Time for looking up the name and connecting; more than zero.</param>
    /// <param name="clock">What <paramref name="timeout"/> is measured by; the system's unless told.</param>
    /// <param name="cancellationToken">Gives up; nothing stays open.</param>
    /// <exception cref="BackendException">The connection cannot be made (<see cref="BackendError.Disconnected"/>, or
    /// <see cref="BackendError.AccessDenied"/> for a Unix socket's permissions), or not within <paramref name="timeout"/>
    /// (<see cref="BackendError.TimedOut"/>).</exception>
    public static async ValueTask<NetworkStream> ConnectAsync(
        StreamEndpoint endpoint, TimeSpan timeout, TimeProvider? clock = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(timeout, TimeSpan.Zero);
        using var timer = new CancellationTokenSource(timeout, clock ?? TimeProvider.System);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timer.Token, cancellationToken);
        var socket = endpoint.Path is null
            ? new Socket(SocketType.Stream, ProtocolType.Tcp)
            : new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(endpoint.ToEndPoint(), either.Token);
            Prepare(socket);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (OperationCanceledException error) when (!cancellationToken.IsCancellationRequested)
        {
            socket.Dispose();
            throw new BackendException(
                BackendError.TimedOut, $"No connection to {endpoint} within {timeout.TotalSeconds:0.###} s; check that the server runs and can be reached.", error);
        }
        catch (SocketException error)
        {
            socket.Dispose();
            var kind = error.SocketErrorCode == SocketError.AccessDenied ? BackendError.AccessDenied : BackendError.Disconnected;
            throw new BackendException(kind, $"Cannot connect to {endpoint}: {error.Message}.", error);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Connects by a blocking call, for streams that are used by blocking calls: a socket that was once used asynchronously answers those
    /// through two threads, at half the speed. <paramref name="cancellationToken"/> ends the wait by closing the socket.
    /// </summary>
    /// <exception cref="BackendException">The connection to <paramref name="peer"/>, as the message names it, cannot be made.</exception>
    /// <exception cref="OperationCanceledException">The token ended the wait.</exception>
    internal static NetworkStream Connect(StreamEndpoint endpoint, string peer, CancellationToken cancellationToken)
    {
        var socket = endpoint.Path is null
            ? new Socket(SocketType.Stream, ProtocolType.Tcp)
            : new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            using (cancellationToken.UnsafeRegister(static s => ((Socket)s!).Dispose(), socket))
                socket.Connect(endpoint.ToEndPoint());
            cancellationToken.ThrowIfCancellationRequested();
            Prepare(socket);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (Exception error)
        {
            socket.Dispose();
            cancellationToken.ThrowIfCancellationRequested();
            if (error is not SocketException failure)
                throw;
            var kind = failure.SocketErrorCode == SocketError.AccessDenied ? BackendError.AccessDenied : BackendError.Disconnected;
            throw new BackendException(kind, $"Cannot connect to {peer} {endpoint}: {failure.Message}.", failure);
        }
    }

    /// <summary>What every TCP connection of the project has: no delay of small packets, and keep-alive, so that a dead peer is found.</summary>
    internal static void Prepare(Socket socket)
    {
        if (socket.AddressFamily == AddressFamily.Unix)
            return;
        socket.NoDelay = true;
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, optionValue: true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 15);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 5);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 3);
    }
}
