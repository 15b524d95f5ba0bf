using Farspan.Waiting;

namespace Farspan.Tests.Transports;

/// <summary>One end of an in-memory duplex stream that stays on the scheduler of its users, for tests in virtual time.</summary>
internal sealed class VirtualDuplexStream : Stream
{
    private readonly Direction _read;
    private readonly Direction _write;

    private VirtualDuplexStream(Direction read, Direction write)
    {
        _read = read;
        _write = write;
    }

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public static (VirtualDuplexStream Near, VirtualDuplexStream Far) CreatePair()
    {
        var up = new Direction();
        var down = new Direction();
        return (new VirtualDuplexStream(down, up), new VirtualDuplexStream(up, down));
    }

    public void CloseWrites() => _write.Close(failure: null);

    public void Break(Exception failure)
    {
        _write.Close(failure);
        _read.Close(failure);
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int count;
        while (!_read.TryTake(buffer.Span, out count, out var more))
            await more.WaitAsync(cancellationToken);
        return count;
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        _write.Add(buffer.Span);
        return default;
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Flush()
    {
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        CloseWrites();
        base.Dispose(disposing);
    }

    private sealed class Direction
    {
        private readonly Lock _gate = new();
        private readonly Queue<byte> _bytes = new();
        private Signal _more = new();
        private Exception? _failure;
        private bool _isClosed;

        public bool TryTake(Span<byte> target, out int count, out Signal more)
        {
            lock (_gate)
            {
                more = _more;
                count = 0;
                if (_failure is not null)
                    throw new IOException(_failure.Message, _failure);
                while (count < target.Length && _bytes.TryDequeue(out byte b))
                    target[count++] = b;
                return count > 0 || _isClosed;
            }
        }

        public void Add(ReadOnlySpan<byte> source)
        {
            Signal more;
            lock (_gate)
            {
                if (_failure is not null)
                    throw new IOException(_failure.Message, _failure);
                foreach (byte b in source)
                    _bytes.Enqueue(b);
                more = _more;
                _more = new Signal();
            }

            more.Set();
        }

        public void Close(Exception? failure)
        {
            lock (_gate)
            {
                _isClosed = true;
                _failure ??= failure;
            }

            _more.Set();
        }
    }
}
