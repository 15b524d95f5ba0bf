namespace Farspan.Backends;

/// <summary>What is alike in backends that nobody can write, however they are opened.</summary>
internal abstract class UnwritableBackend : IBackend
{
    private bool _isDisposed;

    /// <inheritdoc/>
    public abstract long Length { get; }

    /// <inheritdoc/>
    public bool IsReadOnly => true;

    /// <summary>What a writer is told.</summary>
    protected abstract string Refusal { get; }

    /// <inheritdoc/>
    public abstract ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default);

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Check(offset, buffer.Length);
        throw new BackendException(BackendError.ReadOnly, Refusal);
    }

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        Check(0, 0);
        cancellationToken.ThrowIfCancellationRequested();
        return default;
    }

    /// <inheritdoc/>
    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => this as TCapability;

    /// <inheritdoc/>
    public virtual ValueTask DisposeAsync()
    {
        _isDisposed = true;
        return default;
    }

    /// <summary>Throws where the range is not inside the backend, or that is disposed.</summary>
    protected void Check(long offset, long length)
    {
        ObjectDisposedException.ThrowIf(_isDisposed, this);
        BackendRange.Check(Length, offset, length);
    }
}
