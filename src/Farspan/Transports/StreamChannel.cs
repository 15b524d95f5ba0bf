using System.Net.Security;
using System.Net.Sockets;

namespace Farspan.Transports;

/// <summary>A connection on any duplex stream whose two directions may be used at once: TLS, pipes, a simulated line.</summary>
internal sealed class StreamChannel : ByteChannel
{
    /// <summary>What TLS adds to a record, rounded up: taken off what the socket below takes.</summary>
    private const int RecordOverhead = 4 << 10;

    private readonly Stream _stream;
    private readonly Stream _carrier;
    private readonly Socket? _socket;
    private readonly int _room;
    private int _aborted;

    /// <summary>
    /// Takes over <paramref name="stream"/>, which may be TLS over <paramref name="carrier"/>. Where that is a socket, the socket tells whether
    /// it is full.
    /// </summary>
    public StreamChannel(Stream stream, Stream? carrier = null)
    {
        _stream = stream;
        _carrier = carrier ?? stream;
        _socket = (_carrier as NetworkStream)?.Socket;
        _room = _socket is null ? 0 : Math.Max(0, (SocketChannel.RoomWhenWritable(_socket) / 2) - RecordOverhead);
    }

    public override int Receive(Span<byte> buffer)
    {
        try
        {
            return _stream.Read(buffer);
        }
        catch (Exception error)
        {
            throw Loss(error);
        }
    }

    public override bool IsProtected => _stream is SslStream || _socket?.AddressFamily == AddressFamily.Unix;

    public override bool KnowsInput => false;

    public override bool HasInput() => false;

    public override void WaitForInput() => throw new NotSupportedException();

    public override void Send(ReadOnlySpan<byte> bytes)
    {
        try
        {
            _stream.Write(bytes);
            _stream.Flush();
        }
        catch (Exception error)
        {
            throw Loss(error);
        }
    }

    public override int SendRoom(int wanted)
    {
        try
        {
            return _socket is not null && _socket.Poll(0, SelectMode.SelectWrite) ? _room : 0;
        }
        catch (Exception error)
        {
            throw Loss(error);
        }
    }

    public override Stream AsStream() => _stream;

    public override void FinishSending()
    {
        try
        {
            if (_stream is SslStream secure)
                secure.ShutdownAsync().GetAwaiter().GetResult();
            _socket?.Shutdown(SocketShutdown.Send);
        }
        catch (Exception)
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
            // What carries the bytes is ended, so that waiting calls return: a TLS stream must not be disposed under a running one.
            if (_socket is not null)
                _socket.Shutdown(SocketShutdown.Both);
            else
                _carrier.Dispose();
        }
        catch (Exception)
        {
            // The peer was first.
        }
    }

    public override void Dispose()
    {
        Interlocked.Exchange(ref _aborted, 1);
        try
        {
            _stream.Dispose();
        }
        catch (Exception)
        {
            // It is over either way.
        }
    }

    /// <summary>A stream that was handed to us may throw whatever it likes: to its connection, any failure is the end of the line.</summary>
    private static IOException Loss(Exception error) => error as IOException ?? new IOException("The connection is lost.", error);
}
