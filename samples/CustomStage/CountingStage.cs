using Farspan.Backends;
using Farspan.Stages;

namespace CustomStage;

/// <summary>Counts the bytes that are read and written through it. Thread-safe, as every backend has to be.</summary>
internal sealed class CountingStage(IBackend inner) : Stage(inner)
{
    private long _bytesRead;
    private long _bytesWritten;

    public long BytesRead => Interlocked.Read(ref _bytesRead);

    public long BytesWritten => Interlocked.Read(ref _bytesWritten);

    public override async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        await Inner.ReadAsync(offset, buffer, cancellationToken);
        Interlocked.Add(ref _bytesRead, buffer.Length);
    }

    public override async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        await Inner.WriteAsync(offset, buffer, cancellationToken);
        Interlocked.Add(ref _bytesWritten, buffer.Length);
    }

    // Powers are asked for, and a stage hands on only those that it does not have to count: not trimming, zeroing or lending, which go past
    // reading and writing. Callers then read and write instead.
    public override TCapability? GetCapability<TCapability>()
        where TCapability : class
        => typeof(TCapability) == typeof(IBlockSizes) || typeof(TCapability) == typeof(IExtentSource) ? Inner.GetCapability<TCapability>() : null;
}
