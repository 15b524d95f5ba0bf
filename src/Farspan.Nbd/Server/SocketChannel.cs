using System.Net.Sockets;

namespace Farspan.Nbd.Server;

/// <summary>A connection straight on a socket, the fast way: the calls are recv and send and nothing else.</summary>
internal sealed class SocketChannel : ByteChannel
{
    private readonly NetworkStream _stream;
    private readonly Socket _socket;
    private readonly int _room;

    public SocketChannel(NetworkStream stream)
    {
        _stream = stream;
        _socket = stream.Socket;
        _room = RoomWhenWritable(_socket);
    }

    /// <summary>
    /// What a socket that polls as writable takes without waiting. Linux says writable when no more than a quarter (Unix) or two thirds (TCP)
    /// of the buffer is in use; a TCP buffer may shrink again, hence the wide margin.
    /// </summary>
    public static int RoomWhenWritable(Socket socket)
        => socket.AddressFamily == AddressFamily.Unix ? socket.SendBufferSize / 4 * 3 : socket.SendBufferSize / 4;

    public override int Receive(Span<byte> buffer)
    {
        int count = _socket.Receive(buffer, SocketFlags.None, out var error);
        return error switch
        {
            SocketError.Success => count,
            SocketError.Shutdown or SocketError.OperationAborted or SocketError.Interrupted => 0,
            _ => throw Failure(error),
        };
    }

    public override bool HasInput()
    {
        try
        {
            return _socket.Available > 0;
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            return false;
        }
    }

    public override void Send(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            int count = _socket.Send(bytes, SocketFlags.None, out var error);
            if (error != SocketError.Success)
                throw Failure(error);
            bytes = bytes[count..];
        }
    }

    public override int SendRoom()
    {
        try
        {
            return _socket.Poll(0, SelectMode.SelectWrite) ? _room : 0;
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            throw new IOException("The connection is lost.", error);
        }
    }

    public override Stream AsStream() => _stream;

    public override void FinishSending() => TryShutdown(SocketShutdown.Send);

    public override void Abort() => TryShutdown(SocketShutdown.Both);

    public override void Dispose() => _stream.Dispose();

    private static IOException Failure(SocketError error)
        => new("The connection is lost.", new SocketException((int)error));

    private void TryShutdown(SocketShutdown how)
    {
        try
        {
            _socket.Shutdown(how);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // The peer or another thread was first.
        }
    }
}
