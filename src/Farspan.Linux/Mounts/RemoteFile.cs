using Farspan.Backends;
using Farspan.Linux.Files;
using Farspan.Linux.Interop;

namespace Farspan.Linux.Mounts;

/// <summary>
/// A mounted file, opened by the process that holds the mount: a stream of fixed length with reads and writes at any offset. Bytes go through
/// the kernel's page cache, and so agree with what other programs see.
/// </summary>
/// <remarks>
/// The members that take an offset may be called from any thread at once; the stream's own position is for one caller at a time. The file is
/// never mapped. Synchronous calls block their thread until the remote has answered; the asynchronous ones block threads of the mount.
/// </remarks>
public sealed class RemoteFile : Stream
{
    private readonly SafeDescriptor _file;
    private readonly string _path;
    private readonly FileAccess _access;
    private readonly FileWorkers _workers;
    private readonly Action<IDisposable> _closed;
    private long _position;

    internal RemoteFile(SafeDescriptor file, string path, long length, FileAccess access, FileWorkers workers, Action<IDisposable> closed)
    {
        _file = file;
        _path = path;
        Length = length;
        _access = access;
        _workers = workers;
        _closed = closed;
    }

    /// <inheritdoc/>
    public override bool CanRead => (_access & FileAccess.Read) != 0 && !_file.IsClosed;

    /// <inheritdoc/>
    public override bool CanWrite => (_access & FileAccess.Write) != 0 && !_file.IsClosed;

    /// <inheritdoc/>
    public override bool CanSeek => !_file.IsClosed;

    /// <summary>Number of bytes; it never changes.</summary>
    public override long Length { get; }

    /// <inheritdoc/>
    public override long Position
    {
        get => _position;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _position = value;
        }
    }

    /// <summary>Fills all of <paramref name="buffer"/> with the bytes from <paramref name="offset"/> on.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the file.</exception>
    /// <exception cref="BackendException">The remote failed.</exception>
    public void ReadAt(long offset, Span<byte> buffer)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        FileTransferCalls.Read(_file, _path, offset, buffer);
    }

    /// <inheritdoc cref="ReadAt"/>
    /// <remarks>A call that has begun is not cancelled.</remarks>
    public Task ReadAtAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        return _workers.RunAsync(() => FileTransferCalls.Read(_file, _path, offset, buffer.Span), cancellationToken);
    }

    /// <summary>Writes all of <paramref name="buffer"/> from <paramref name="offset"/> on.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The range is not inside the file.</exception>
    /// <exception cref="BackendException">The remote failed, or the file is open for reading only.</exception>
    public void WriteAt(long offset, ReadOnlySpan<byte> buffer)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        FileTransferCalls.Write(_file, _path, offset, buffer);
    }

    /// <inheritdoc cref="WriteAt"/>
    /// <remarks>A call that has begun is not cancelled.</remarks>
    public Task WriteAtAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        return _workers.RunAsync(() => FileTransferCalls.Write(_file, _path, offset, buffer.Span), cancellationToken);
    }

    /// <summary>Returns once everything that was written, by whomever, is durable at the remote.</summary>
    /// <exception cref="BackendException">The remote failed.</exception>
    public override void Flush()
    {
        // A stream that is only read from has nothing to flush, and closing one must not fail.
        if (CanWrite)
            FileTransferCalls.Sync(_file, _path);
    }

    /// <inheritdoc cref="Flush"/>
    public override Task FlushAsync(CancellationToken cancellationToken)
        => CanWrite ? _workers.RunAsync(() => FileTransferCalls.Sync(_file, _path), cancellationToken) : Task.CompletedTask;

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override int Read(Span<byte> buffer)
    {
        int count = (int)Math.Clamp(Length - _position, 0, buffer.Length);
        ReadAt(Math.Min(_position, Length), buffer[..count]);
        _position += count;
        return count;
    }

    /// <inheritdoc/>
    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
        => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        int count = (int)Math.Clamp(Length - _position, 0, buffer.Length);
        await ReadAtAsync(Math.Min(_position, Length), buffer[..count], cancellationToken);
        _position += count;
        return count;
    }

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        CheckRoom(buffer.Length);
        WriteAt(_position, buffer);
        _position += buffer.Length;
    }

    /// <inheritdoc/>
    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken)
        => WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    /// <inheritdoc/>
    public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        CheckRoom(buffer.Length);
        await WriteAtAsync(_position, buffer, cancellationToken);
        _position += buffer.Length;
    }

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin)
        => Position = origin switch
        {
            SeekOrigin.Begin => offset,
            SeekOrigin.Current => _position + offset,
            _ => Length + offset,
        };

    /// <summary>Not possible: the length is the remote's.</summary>
    /// <exception cref="NotSupportedException">Always.</exception>
    public override void SetLength(long value) => throw new NotSupportedException($"The length of {_path} cannot be changed.");

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            // Calls under way keep the descriptor open until they return.
            _file.Dispose();
            _closed(this);
        }

        base.Dispose(disposing);
    }

    private void CheckRoom(int length)
    {
        if (length > Length - _position)
            throw new BackendException(BackendError.NoSpace, $"{_path} has {Length} bytes; {length} more at {_position} do not fit.");
    }
}
