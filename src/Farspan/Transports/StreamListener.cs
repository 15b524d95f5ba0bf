using System.Net;
using System.Net.Sockets;

namespace Farspan.Transports;

/// <summary>
/// Accepts incoming byte streams on a TCP port or a Unix socket. Disposing it stops listening and removes its socket file; streams already
/// accepted live on. Several accepts may wait at once.
/// </summary>
public sealed class StreamListener : IDisposable
{
    private const int Backlog = 512;

    private readonly Socket _socket;

    private StreamListener(Socket socket, StreamEndpoint endpoint)
    {
        _socket = socket;
        Endpoint = endpoint;
    }

    /// <summary>Where it listens, with the port that was chosen where 0 was asked for.</summary>
    public StreamEndpoint Endpoint { get; }

    /// <summary>
    /// Starts to listen. A socket file that no server answers on is left from a server that died: it is replaced. A host name binds its
    /// first address.
    /// </summary>
    /// <exception cref="IOException">The address is in use, is not this machine's, may not be bound, or the path is no socket; the message says which.</exception>
    public static StreamListener Bind(StreamEndpoint endpoint)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        try
        {
            return endpoint.Path is null ? BindTcp(endpoint) : BindUnix(endpoint, endpoint.Path);
        }
        catch (SocketException error)
        {
            throw new IOException($"Cannot listen on {endpoint}: {error.Message}.", error);
        }
    }

    /// <summary>Waits for the next connection; the caller owns the stream, which owns its socket.</summary>
    /// <exception cref="SocketException">Accepting failed, for example for lack of file descriptors; a later call may succeed.</exception>
    /// <exception cref="ObjectDisposedException">The listener was disposed.</exception>
    public async ValueTask<NetworkStream> AcceptAsync(CancellationToken cancellationToken = default)
    {
        Socket socket;
        try
        {
            socket = await _socket.AcceptAsync(cancellationToken);
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.OperationAborted)
        {
            throw new ObjectDisposedException(nameof(StreamListener), error);
        }

        try
        {
            StreamDialer.Prepare(socket);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private static StreamListener BindTcp(StreamEndpoint endpoint)
    {
        var target = endpoint.ToEndPoint();
        if (target is DnsEndPoint name)
            target = new IPEndPoint(Dns.GetHostAddresses(name.Host)[0], name.Port);
        var socket = new Socket(target.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(target);
            socket.Listen(Backlog);
            var bound = (IPEndPoint)socket.LocalEndPoint!;
            return new StreamListener(socket, StreamEndpoint.Tcp(endpoint.Host!, bound.Port));
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static StreamListener BindUnix(StreamEndpoint endpoint, string path)
    {
        try
        {
            return BindUnixOnce(endpoint);
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            // Two servers that start at once must not each remove the other's fresh socket: the lock lets one of them look and replace.
            using var takeover = new FileStream(
                path + ".lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 1, FileOptions.DeleteOnClose);
            RemoveStale(path);
            return BindUnixOnce(endpoint);
        }
    }

    private static StreamListener BindUnixOnce(StreamEndpoint endpoint)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Bind(endpoint.ToEndPoint());
            socket.Listen(Backlog);
            return new StreamListener(socket, endpoint);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static void RemoveStale(string path)
    {
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException error) when (error.SocketErrorCode == SocketError.ConnectionRefused)
        {
            // Refused means a socket that nobody listens on, or a file of another kind. Only a socket refuses to be opened as a file.
            if (CanOpen(path))
                throw new IOException($"Cannot listen on unix:{path}: there is a file that is no socket.", error);
            File.Delete(path);
            return;
        }

        throw new IOException($"Cannot listen on unix:{path}: another server listens there.");
    }

    private static bool CanOpen(string path)
    {
        try
        {
            using var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
            return true;
        }
        catch (UnauthorizedAccessException)
        {
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }
}
