namespace Farspan.Nbd.Tests.Server;

/// <summary>Passes bytes through, counts those read, and from <see cref="Shut"/> on lets no write through until it is opened again.</summary>
internal sealed class GateStream(Stream inner) : Stream
{
    private readonly ManualResetEventSlim _opened = new();
    private readonly TaskCompletionSource _writeWaits = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _closed;
    private volatile bool _disposed;
    private volatile bool _isReading;
    private long _bytesRead;

    public long BytesRead => Volatile.Read(ref _bytesRead);

    /// <summary>Whether a read is under way: who reads has dealt with all that <see cref="BytesRead"/> counted before.</summary>
    public bool IsReading => _isReading;

    /// <summary>Completes when a write waits.</summary>
    public Task WriteWaits => _writeWaits.Task;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public void Shut() => _closed = true;

    public void Open() => _opened.Set();

    public override int Read(Span<byte> buffer)
    {
        _isReading = true;
        int count = inner.Read(buffer);
        _isReading = false;
        Interlocked.Add(ref _bytesRead, count);
        return count;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        if (_closed)
        {
            _writeWaits.TrySetResult();
            _opened.Wait();
            if (_disposed)
                throw new IOException("The stream was disposed.");
        }

        inner.Write(buffer);
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Flush() => inner.Flush();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        _disposed = true;
        _opened.Set();
        inner.Dispose();
        base.Dispose(disposing);
    }
}
