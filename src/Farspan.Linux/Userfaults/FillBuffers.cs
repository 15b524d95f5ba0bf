using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;

namespace Farspan.Linux.Userfaults;

/// <summary>As many buffers as there may be, made when they are first needed. Who finds none waits. Thread-safe.</summary>
/// <param name="count">Buffers that there may be.</param>
/// <param name="length">Bytes of each.</param>
#pragma warning disable CA1001 // A fill that its backend never ends may give its buffer back long after the region's end.
internal sealed class FillBuffers(int count, int length)
#pragma warning restore CA1001
{
    private readonly SemaphoreSlim _free = new(count, count);
    private readonly ConcurrentStack<FillBuffer> _buffers = [];

    public int Length => length;

    public bool TryRent([NotNullWhen(true)] out FillBuffer? buffer)
    {
        buffer = null;
        if (!_free.Wait(0))
            return false;
        buffer = Take();
        return true;
    }

    public async ValueTask<FillBuffer> RentAsync(CancellationToken cancellationToken)
    {
        await _free.WaitAsync(cancellationToken);
        return Take();
    }

    public void Return(FillBuffer buffer)
    {
        _buffers.Push(buffer);
        _free.Release();
    }

    private FillBuffer Take() => _buffers.TryPop(out var buffer) ? buffer : new FillBuffer(length);
}
