using Farspan.Units;

namespace Farspan.Backends;

/// <summary>Registers the backends that need nothing but .NET.</summary>
public static class CoreBackends
{
    /// <summary>
    /// Registers <c>memory:SIZE</c>, such as <c>memory:1GiB</c>: a <see cref="MemoryBackend"/> that reads as zero.
    /// </summary>
    public static BackendRegistry AddCoreBackends(this BackendRegistry registry)
    {
        ArgumentNullException.ThrowIfNull(registry);
        return registry.Register("memory", OpenMemoryAsync);
    }

    private static ValueTask<IBackend> OpenMemoryAsync(BackendUri uri, BackendOpenOptions options, CancellationToken cancellationToken)
    {
        uri.AllowOnly();
        if (uri.Authority is not null || !ByteSize.TryParse(uri.Path, out long length) || length is < 1 or > MemoryBackend.MaximumLength)
            throw new FormatException($"{uri.Text} needs a size from 1 byte to {ByteSize.Format(MemoryBackend.MaximumLength)}, such as memory:1GiB.");
        return new ValueTask<IBackend>(new MemoryBackend(length));
    }
}
