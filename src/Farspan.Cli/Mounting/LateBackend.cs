using Farspan.Backends;

namespace Farspan.Cli.Mounting;

/// <summary>Zeroes that answer after a moment, as a remote does: calls that complete at once take another way through the code.</summary>
internal sealed class LateBackend(long length) : IBackend
{
    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(1);

    public long Length => length;

    public bool IsReadOnly => false;

    public async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        await Task.Delay(Moment, cancellationToken);
        buffer.Span.Clear();
    }

    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        => await Task.Delay(Moment, cancellationToken);

    public async ValueTask FlushAsync(CancellationToken cancellationToken = default) => await Task.Delay(Moment, cancellationToken);

    public TCapability? GetCapability<TCapability>()
        where TCapability : class
        => null;

    public ValueTask DisposeAsync() => default;
}
