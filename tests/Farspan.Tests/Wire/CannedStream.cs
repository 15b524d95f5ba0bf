using Farspan.Wire.Protocol;

namespace Farspan.Tests.Wire;

/// <summary>
/// A peer that says the same whatever it is told: the answer to a hello at once, what is behind that once a second message was sent to it.
/// </summary>
internal sealed class CannedStream(byte[] bytes) : Stream
{
    private readonly int _helloSize = ServerHello.TryRead(bytes, out var hello) ? Math.Min(bytes.Length, ServerHello.Size + hello.TextLength) : bytes.Length;
    private readonly object _gate = new();
    private readonly MemoryStream _written = new();
    private int _position;
    private int _messages;
    private bool _isClosed;

    /// <summary>Whether everything can be read at once.</summary>
    public bool EndsAtOnce { get; init; }

    public byte[] Written
    {
        get
        {
            lock (_gate)
                return _written.ToArray();
        }
    }

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
        lock (_gate)
        {
            while (!EndsAtOnce && _messages < 2 && _position >= _helloSize && _position < bytes.Length && !_isClosed)
                Monitor.Wait(_gate);
            int limit = EndsAtOnce || _messages >= 2 ? bytes.Length : _helloSize;
            int count = _isClosed ? 0 : Math.Min(buffer.Length, limit - _position);
            bytes.AsSpan(_position, count).CopyTo(buffer);
            _position += count;
            return count;
        }
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        lock (_gate)
        {
            if (_isClosed)
                throw new IOException("The stream is closed.");
            _written.Write(buffer);
            _messages++;
            Monitor.PulseAll(_gate);
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        lock (_gate)
        {
            _isClosed = true;
            Monitor.PulseAll(_gate);
        }

        base.Dispose(disposing);
    }
}
