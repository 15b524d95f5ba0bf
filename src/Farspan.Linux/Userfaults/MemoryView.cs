namespace Farspan.Linux.Userfaults;

/// <summary>
/// A range of remote memory that is present and stays so until this is disposed: its bytes are used without a fault, so that the garbage collector never
/// waits for them. Dispose it soon; what it holds counts against the region's limit.
/// </summary>
public sealed unsafe class MemoryView : IDisposable
{
    private readonly RemoteMemory _region;
    private readonly byte* _start;
    private int _isDisposed;

    internal MemoryView(RemoteMemory region, byte* start, long offset, int length)
    {
        _region = region;
        _start = start;
        Offset = offset;
        Length = length;
    }

    /// <summary>The first byte's place in the region.</summary>
    public long Offset { get; }

    /// <summary>Number of bytes.</summary>
    public int Length { get; }

    /// <summary>The bytes, to read and to write. What is written is saved in the background and durable after a flush.</summary>
    /// <exception cref="InvalidOperationException">The region is for reading only.</exception>
    /// <exception cref="ObjectDisposedException">The view is disposed.</exception>
    public Span<byte> Span
    {
        get
        {
            if (_region.IsReadOnly)
                throw new InvalidOperationException("The region is for reading only; use ReadOnlySpan.");
            ObjectDisposedException.ThrowIf(_isDisposed != 0, this);
            return new Span<byte>(_start, Length);
        }
    }

    /// <summary>The bytes, to read.</summary>
    /// <exception cref="ObjectDisposedException">The view is disposed.</exception>
    public ReadOnlySpan<byte> ReadOnlySpan
    {
        get
        {
            ObjectDisposedException.ThrowIf(_isDisposed != 0, this);
            return new ReadOnlySpan<byte>(_start, Length);
        }
    }

    /// <summary>Lets the range go. Spans of it must not be used any more.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _isDisposed, 1) == 0)
            _region.Release(this);
    }
}
