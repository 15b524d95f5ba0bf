using Farspan.Backends;

namespace Farspan.Cli.Tests;

/// <summary>Memory that outlives it, with a flush and an end that a test makes fail or stand still.</summary>
internal sealed class TroubledBackend(MemoryBackend memory) : IBackend
{
    public Func<Task> OnFlush { get; init; } = () => Task.CompletedTask;

    public Func<Task> OnDispose { get; init; } = () => Task.CompletedTask;

    public long Length => memory.Length;

    public bool IsReadOnly => false;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
        => memory.ReadAsync(offset, buffer, cancellationToken);

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        => memory.WriteAsync(offset, buffer, cancellationToken);

    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => new(OnFlush());

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => null;

    public ValueTask DisposeAsync() => new(OnDispose());

    /// <summary>A registry that opens it as <c>troubled:</c>.</summary>
    public BackendRegistry Registry() => new BackendRegistry().Register("troubled", (_, _, _) => new ValueTask<IBackend>(this));
}
