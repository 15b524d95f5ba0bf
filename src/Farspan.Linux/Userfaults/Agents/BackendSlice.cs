using Farspan.Backends;

namespace Farspan.Linux.Userfaults.Agents;

/// <summary>A part of a backend as a backend; the whole is not owned.</summary>
internal sealed class BackendSlice(IBackend whole, long start, long length, bool isReadOnly) : IBackend, IMemoryLender
{
    private readonly IMemoryLender? _lender = whole.GetCapability<IMemoryLender>();

    public long Length => length;

    public bool IsReadOnly => isReadOnly || whole.IsReadOnly;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(length, offset, buffer.Length);
        return whole.ReadAsync(start + offset, buffer, cancellationToken);
    }

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(length, offset, buffer.Length);
        return IsReadOnly ? throw new BackendException(BackendError.ReadOnly, "It is for reading only.") : whole.WriteAsync(start + offset, buffer, cancellationToken);
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => whole.FlushAsync(cancellationToken);

    public bool TryLend(long offset, int lentLength, out LentMemory lent)
    {
        BackendRange.Check(length, offset, lentLength);
        lent = default;
        return _lender is not null && _lender.TryLend(start + offset, lentLength, out lent);
    }

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => _lender is null ? null : this as IMemoryLender as TCapability;

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
