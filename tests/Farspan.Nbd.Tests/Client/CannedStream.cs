namespace Farspan.Nbd.Tests.Client;

/// <summary>A peer that has said all it will say, in pieces of random length, and takes whatever it is told.</summary>
internal sealed class CannedStream(byte[] incoming, int seed = 0) : Stream
{
    private readonly Random _random = new(seed);
    private int _position;

    public List<byte> Written { get; } = [];

    public int Position32 => _position;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException();
    }

    public override int Read(Span<byte> buffer)
    {
        int count = Math.Min(Math.Min(buffer.Length, 1 + _random.Next(200)), incoming.Length - _position);
        incoming.AsSpan(_position, count).CopyTo(buffer);
        _position += count;
        return count;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer) => Written.AddRange(buffer);

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}
