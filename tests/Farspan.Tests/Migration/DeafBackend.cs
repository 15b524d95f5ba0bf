using Farspan.Backends;
using Farspan.Stages;

namespace Farspan.Tests.Migration;

/// <summary>A store that fails until it listens.</summary>
internal sealed class DeafBackend(long length) : Stage(new MemoryBackend(length))
{
    public bool Listens { get; set; }

    public override ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => Listens ? base.ReadAsync(offset, buffer, cancellationToken) : throw new BackendException(BackendError.Disconnected, "Nobody answers.");

    public override ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        => Listens ? base.WriteAsync(offset, buffer, cancellationToken) : throw new BackendException(BackendError.Disconnected, "Nobody answers.");
}
