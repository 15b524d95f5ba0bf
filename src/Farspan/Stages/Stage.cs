using Farspan.Backends;

namespace Farspan.Stages;

/// <summary>
/// A backend around another backend that adds one behaviour. This base passes everything through and offers no capability; a stage
/// overrides what it changes, and <see cref="GetCapability{TCapability}"/> for each power that it knows how to carry. The stage owns
/// <see cref="Inner"/> and disposes it.
/// </summary>
public abstract class Stage : IBackend
{
    /// <summary>Wraps <paramref name="inner"/>.</summary>
    protected Stage(IBackend inner)
    {
        ArgumentNullException.ThrowIfNull(inner);
        Inner = inner;
    }

    /// <inheritdoc/>
    public virtual long Length => Inner.Length;

    /// <inheritdoc/>
    public virtual bool IsReadOnly => Inner.IsReadOnly;

    /// <summary>The backend below.</summary>
    protected IBackend Inner { get; }

    /// <inheritdoc/>
    public virtual ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => Inner.ReadAsync(offset, buffer, cancellationToken);

    /// <inheritdoc/>
    public virtual ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        => Inner.WriteAsync(offset, buffer, cancellationToken);

    /// <inheritdoc/>
    public virtual ValueTask FlushAsync(CancellationToken cancellationToken = default) => Inner.FlushAsync(cancellationToken);

    /// <inheritdoc/>
    public virtual TCapability? GetCapability<TCapability>()
        where TCapability : class
        => null;

    /// <inheritdoc/>
    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return Inner.DisposeAsync();
    }
}
