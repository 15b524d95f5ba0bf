using System.Net.Sockets;

namespace Farspan.Nbd.Server;

/// <summary>A connection on any duplex stream whose two directions may be used at once: TLS, pipes, a simulated line.</summary>
internal sealed class StreamChannel : ByteChannel
{
    /// <summary>What TLS adds to a record, rounded up: taken off what the socket below takes.</summary>
    private const int RecordOverhead = 4 << 10;

    private readonly Stream _stream;
    private readonly Socket? _socket;
    private readonly int _room;
    private int _aborted;

    /// <summary>Takes over <paramref name="stream"/>; where bytes end in a socket, <paramref name="socket"/> tells whether it is full.</summary>
    public StreamChannel(Stream stream, Socket? socket = null)
    {
        _stream = stream;
        _socket = socket;
        _room = socket is null ? 0 : Math.Max(0, (SocketChannel.RoomWhenWritable(socket) / 2) - RecordOverhead);
    }

    public override int Receive(Span<byte> buffer)
    {
        try
        {
            return _stream.Read(buffer);
        }
        catch (Exception error) when (IsLoss(error))
        {
            throw new IOException("The connection is lost.", error);
        }
    }

    public override bool HasInput() => false;

    public override void Send(ReadOnlySpan<byte> bytes)
    {
        try
        {
            _stream.Write(bytes);
            _stream.Flush();
        }
        catch (Exception error) when (IsLoss(error))
        {
            throw new IOException("The connection is lost.", error);
        }
    }

    public override int SendRoom()
    {
        try
        {
            return _socket is not null && _socket.Poll(0, SelectMode.SelectWrite) ? _room : 0;
        }
        catch (Exception error) when (IsLoss(error))
        {
            throw new IOException("The connection is lost.", error);
        }
    }

    public override Stream AsStream() => _stream;

    public override void FinishSending()
    {
        try
        {
            if (_stream is System.Net.Security.SslStream secure)
                secure.ShutdownAsync().GetAwaiter().GetResult();
            _socket?.Shutdown(SocketShutdown.Send);
        }
        catch (Exception error) when (IsLoss(error))
        {
            // The peer was first.
        }
    }

    public override void Abort()
    {
        if (Interlocked.Exchange(ref _aborted, 1) != 0)
            return;
        try
        {
            // With a socket below, waiting calls end by themselves; disposing a TLS stream under a running call is not allowed.
            if (_socket is not null)
                _socket.Shutdown(SocketShutdown.Both);
            else
                _stream.Dispose();
        }
        catch (Exception error) when (IsLoss(error))
        {
            // The peer was first.
        }
    }

    public override void Dispose()
    {
        Interlocked.Exchange(ref _aborted, 1);
        _stream.Dispose();
    }

    private static bool IsLoss(Exception error)
        => error is IOException or SocketException or ObjectDisposedException or InvalidOperationException
            or System.Security.Authentication.AuthenticationException;
}
