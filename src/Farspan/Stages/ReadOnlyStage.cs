using Farspan.Backends;

namespace Farspan.Stages;

/// <summary>Refuses every write with <see cref="BackendError.ReadOnly"/>, and offers no trim and no zero. Thread-safe.</summary>
public sealed class ReadOnlyStage(IBackend inner) : Stage(inner)
{
    /// <inheritdoc/>
    public override bool IsReadOnly => true;

    /// <inheritdoc/>
    public override ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        BackendRange.Check(Length, offset, buffer.Length);
        throw new BackendException(BackendError.ReadOnly, $"Writing {buffer.Length} bytes at {offset} is refused: the backend was opened read-only.");
    }

    /// <inheritdoc/>
    public override TCapability? GetCapability<TCapability>()
        where TCapability : class
        => typeof(TCapability) == typeof(IExtentSource) || typeof(TCapability) == typeof(IStateMaps) || typeof(TCapability) == typeof(IBlockSizes)
            || typeof(TCapability) == typeof(IConcurrentWriters) || typeof(TCapability) == typeof(IMemoryLender)
            ? Inner.GetCapability<TCapability>()
            : null;
}
