namespace Farspan.Nbd.Tests.Server;

/// <summary>Two ends of a byte stream in memory, each direction bounded; blocking and asynchronous use, as a socket would be.</summary>
internal sealed class MemoryDuplex : Stream
{
    private readonly Direction _in;
    private readonly Direction _out;

    private MemoryDuplex(Direction @in, Direction @out)
    {
        _in = @in;
        _out = @out;
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

    public static (Stream One, Stream Other) Create(int capacity = 64 << 10)
    {
        var there = new Direction(capacity);
        var back = new Direction(capacity);
        return (new MemoryDuplex(there, back), new MemoryDuplex(back, there));
    }

    public override int Read(Span<byte> buffer) => _in.Read(buffer);

    public override int Read(byte[] buffer, int offset, int count) => _in.Read(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer) => _out.Write(buffer);

    public override void Write(byte[] buffer, int offset, int count) => _out.Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    /// <summary>Ends what this end sends; it may still receive.</summary>
    public void FinishSending() => _out.Finish();

    protected override void Dispose(bool disposing)
    {
        _in.Break();
        _out.Finish();
        base.Dispose(disposing);
    }

    private sealed class Direction(int capacity)
    {
        private readonly object _gate = new();
        private readonly byte[] _ring = new byte[capacity];
        private int _start;
        private int _count;
        private bool _finished;
        private bool _broken;

        public int Read(Span<byte> buffer)
        {
            lock (_gate)
            {
                while (_count == 0 && !_finished && !_broken)
                    Monitor.Wait(_gate);
                int count = Math.Min(buffer.Length, _count);
                for (int i = 0; i < count; i++)
                    buffer[i] = _ring[(_start + i) % _ring.Length];
                _start = (_start + count) % _ring.Length;
                _count -= count;
                Monitor.PulseAll(_gate);
                return count;
            }
        }

        public void Write(ReadOnlySpan<byte> bytes)
        {
            lock (_gate)
            {
                while (bytes.Length > 0)
                {
                    while (_count == _ring.Length && !_broken && !_finished)
                        Monitor.Wait(_gate);
                    if (_broken || _finished)
                        throw new IOException("The other end is closed.");
                    int count = Math.Min(bytes.Length, _ring.Length - _count);
                    for (int i = 0; i < count; i++)
                        _ring[(_start + _count + i) % _ring.Length] = bytes[i];
                    _count += count;
                    bytes = bytes[count..];
                    Monitor.PulseAll(_gate);
                }
            }
        }

        public void Finish()
        {
            lock (_gate)
            {
                _finished = true;
                Monitor.PulseAll(_gate);
            }
        }

        public void Break()
        {
            lock (_gate)
            {
                _broken = true;
                _count = 0;
                Monitor.PulseAll(_gate);
            }
        }
    }
}
