using Farspan.Backends;
using Farspan.Stages;

namespace Farspan.Tests.Wire;

/// <summary>Memory that counts its writes.</summary>
internal sealed class CountingBackend(long length) : Stage(new MemoryBackend(length))
{
    private int _writes;

    public int Writes => Volatile.Read(ref _writes);

    public override ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        Interlocked.Increment(ref _writes);
        return base.WriteAsync(offset, buffer, cancellationToken);
    }
}
