using System.Net.Sockets;

namespace Farspan.Transports;

/// <summary>A connection straight on a socket, the fast way: the calls are recv and send and nothing else.</summary>
internal sealed class SocketChannel : ByteChannel
{
    /// <summary>Asked for on a Unix socket, of which the kernel takes the double: room for a reply of 256 KiB, which is what nbdcopy reads.</summary>
    private const int SendBuffer = 256 << 10;

    /// <summary>More than what the kernel adds to each send (a header for every 48 KiB or less, and pages that are not full).</summary>
    private const int SendOverhead = 8 << 10;

    private readonly NetworkStream _stream;
    private readonly Socket _socket;
    private readonly bool _isUnix;
    private readonly int _room;
    private int _left;

    public SocketChannel(NetworkStream stream)
    {
        _stream = stream;
        _socket = stream.Socket;
        _isUnix = _socket.AddressFamily == AddressFamily.Unix;
        if (_isUnix)
            _socket.SendBufferSize = Math.Max(SendBuffer, _socket.SendBufferSize);
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

    public override bool IsProtected => _isUnix;

    public override bool KnowsInput => true;

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

    public override void WaitForInput()
    {
        try
        {
            _socket.Poll(Timeout.InfiniteTimeSpan, SelectMode.SelectRead);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            throw new IOException("The connection is lost.", error);
        }
    }

    public override void Send(ReadOnlySpan<byte> bytes)
    {
        // What a Unix socket once had room for, it has until we use it; the buffer of TCP may shrink meanwhile.
        _left = _isUnix ? Math.Max(0, _left - bytes.Length - (bytes.Length / 8) - SendOverhead) : 0;
        while (bytes.Length > 0)
        {
            int count = _socket.Send(bytes, SocketFlags.None, out var error);
            if (error != SocketError.Success)
                throw Failure(error);
            bytes = bytes[count..];
        }
    }

    public override int SendRoom(int wanted)
    {
        if (wanted <= _left)
            return _left;
        try
        {
            if (_socket.Poll(0, SelectMode.SelectWrite))
                _left = _room;
            return _left;
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
