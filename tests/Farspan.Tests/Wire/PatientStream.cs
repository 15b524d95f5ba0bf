namespace Farspan.Tests.Wire;

/// <summary>A peer that sends what it is fed and waits otherwise, and may take nothing.</summary>
internal sealed class PatientStream : Stream
{
    private readonly object _gate = new();
    private readonly Queue<byte> _fed = new();
    private readonly MemoryStream _written = new();
    private TaskCompletionSource _reading = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isClosed;

    /// <summary>Whether what is sent to it is left untaken.</summary>
    public bool TakesNothing { get; set; }

    /// <summary>Completes once everything that was fed was read, and more is waited for; or once it is closed.</summary>
    public Task WaitsToRead
    {
        get
        {
            lock (_gate)
                return _reading.Task;
        }
    }

    /// <summary>Completes once something is sent that is not taken.</summary>
    public TaskCompletionSource WaitsToWrite { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What was sent to it.</summary>
    public byte[] Written
    {
        get
        {
            lock (_gate)
                return _written.ToArray();
        }
    }

    public bool IsClosed
    {
        get
        {
            lock (_gate)
                return _isClosed;
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

    public void Feed(params ReadOnlySpan<byte> bytes)
    {
        lock (_gate)
        {
            foreach (byte one in bytes)
                _fed.Enqueue(one);
            _reading = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            Monitor.PulseAll(_gate);
        }
    }

    public override int Read(Span<byte> buffer)
    {
        lock (_gate)
        {
            while (_fed.Count == 0 && !_isClosed)
            {
                _reading.TrySetResult();
                Monitor.Wait(_gate);
            }

            int count = 0;
            while (count < buffer.Length && !_isClosed && _fed.TryDequeue(out byte one))
                buffer[count++] = one;
            return count;
        }
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        lock (_gate)
        {
            while (TakesNothing && !_isClosed)
            {
                WaitsToWrite.TrySetResult();
                Monitor.Wait(_gate);
            }

            if (_isClosed)
                throw new IOException("The stream is closed.");
            _written.Write(buffer);
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
            _reading.TrySetResult();
            Monitor.PulseAll(_gate);
        }

        base.Dispose(disposing);
    }
}
