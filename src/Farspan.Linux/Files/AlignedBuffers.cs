using System.Collections.Concurrent;

namespace Farspan.Linux.Files;

/// <summary>Aligned buffers of one length, kept for the next use. One that is not returned goes with the garbage.</summary>
/// <remarks>All members may be called from any thread.</remarks>
internal sealed class AlignedBuffers(int length, int alignment) : IDisposable
{
    private readonly ConcurrentStack<AlignedBuffer> _free = new();

    public AlignedBuffer Take() => _free.TryPop(out var buffer) ? buffer : new AlignedBuffer(length, alignment);

    public void Return(AlignedBuffer buffer) => _free.Push(buffer);

    public void Dispose()
    {
        while (_free.TryPop(out var buffer))
            buffer.Dispose();
    }
}
