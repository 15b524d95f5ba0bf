using System.Runtime.InteropServices;
using Farspan.Backends;
using Farspan.Stages;
using Xunit;

namespace Farspan.Tests.Stages;

/// <summary>A store that takes its time, heeds no cancellation, and knows which buffers it is using.</summary>
internal sealed class BufferWatchStage(IBackend inner) : Stage(inner)
{
    private readonly List<byte[]> _inUse = [];

    /// <summary>Whether a call that was made here and has not ended uses any part of the array.</summary>
    public bool Uses(byte[] array)
    {
        lock (_inUse)
            return _inUse.Contains(array);
    }

    public override ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => WatchAsync(buffer, () => Inner.ReadAsync(offset, buffer, CancellationToken.None));

    public override ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        => WatchAsync(buffer, () => Inner.WriteAsync(offset, buffer, CancellationToken.None));

    private async ValueTask WatchAsync(ReadOnlyMemory<byte> buffer, Func<ValueTask> call)
    {
        Assert.True(MemoryMarshal.TryGetArray(buffer, out var array));
        lock (_inUse)
            _inUse.Add(array.Array!);
        try
        {
            for (int turns = 0; turns < 8; turns++)
                await Task.Yield();
            await call();
        }
        finally
        {
            lock (_inUse)
                _inUse.Remove(array.Array!);
        }
    }
}
