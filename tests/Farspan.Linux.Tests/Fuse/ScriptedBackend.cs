using Farspan.Backends;

namespace Farspan.Linux.Tests.Fuse;

/// <summary>A backend whose calls do what a test says; its powers are those that the test gives.</summary>
internal sealed class ScriptedBackend(long length) : IBackend
{
    public long Length { get; } = length;

    public bool IsReadOnly { get; init; }

    public Func<long, Memory<byte>, CancellationToken, ValueTask> Read { get; set; } = static (_, _, _) => ValueTask.CompletedTask;

    public Func<long, ReadOnlyMemory<byte>, CancellationToken, ValueTask> Write { get; set; } = static (_, _, _) => ValueTask.CompletedTask;

    public Func<CancellationToken, ValueTask> Flush { get; set; } = static _ => ValueTask.CompletedTask;

    public List<object> Powers { get; init; } = [];

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default) => Read(offset, buffer, cancellationToken);

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => Write(offset, buffer, cancellationToken);

    public ValueTask FlushAsync(CancellationToken cancellationToken = default) => Flush(cancellationToken);

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => Powers.OfType<TCapability>().FirstOrDefault();

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
