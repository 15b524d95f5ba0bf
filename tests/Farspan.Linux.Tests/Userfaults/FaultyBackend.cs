using Farspan.Backends;

namespace Farspan.Linux.Tests.Userfaults;

/// <summary>Fails when it is told to; and answers late, from another thread, where that is asked for.</summary>
internal sealed class FaultyBackend(IBackend inner, bool isLate) : IBackend
{
    private volatile string? _failing;
    private int _flushes;

    public long Length => inner.Length;

    public bool IsReadOnly => inner.IsReadOnly;

    /// <summary>Flushes that were asked for.</summary>
    public int Flushes => Volatile.Read(ref _flushes);

    public void Fail(FaultKind kind) => _failing = kind.ToString();

    public void Heal() => _failing = null;

    public async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (isLate)
            await Task.Yield();
        Check(FaultKind.Read);
        await inner.ReadAsync(offset, buffer, cancellationToken);
    }

    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        if (isLate)
            await Task.Yield();
        Check(FaultKind.Write);
        await inner.WriteAsync(offset, buffer, cancellationToken);
    }

    public ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        Interlocked.Increment(ref _flushes);
        return inner.FlushAsync(cancellationToken);
    }

    public TCapability? GetCapability<TCapability>()
        where TCapability : class => null;

    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private void Check(FaultKind kind)
    {
        if (_failing == kind.ToString())
            throw new BackendException(BackendError.InputOutput, $"The test fails every {kind}.");
    }
}
