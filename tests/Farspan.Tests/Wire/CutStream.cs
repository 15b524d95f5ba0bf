using System.Net.Sockets;

namespace Farspan.Tests.Wire;

/// <summary>A connection that breaks once so many bytes were received.</summary>
internal sealed class CutStream(Socket socket, int receives) : Stream
{
    private readonly NetworkStream _inner = new(socket, ownsSocket: true);
    private int _left = receives;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(Span<byte> buffer)
    {
        if (_left == 0)
            return 0;
        int count = _inner.Read(buffer[..Math.Min(buffer.Length, _left)]);
        _left -= count;
        if (_left == 0)
            socket.Shutdown(SocketShutdown.Both);
        return count;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer) => _inner.Write(buffer);

    public override void Write(byte[] buffer, int offset, int count) => _inner.Write(buffer, offset, count);

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _inner.Dispose();
        base.Dispose(disposing);
    }
}
