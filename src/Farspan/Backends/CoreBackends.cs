using Farspan.Backends.Http;
using Farspan.Backends.Leases;
using Farspan.Units;
using Farspan.Wire;

namespace Farspan.Backends;

/// <summary>Registers the backends that need nothing but .NET.</summary>
public static class CoreBackends
{
    /// <summary>
    /// Registers <c>memory:SIZE</c> (<see cref="MemoryBackend"/>, reads as zero at first), <c>file:PATH?size=SIZE&amp;lock=off</c>
    /// (<see cref="FileBackend"/>, see <see cref="FileBackendOptions"/>) and <c>directory:PATH?size=SIZE&amp;chunk=SIZE</c>
    /// (<see cref="DirectoryBackend"/>, see <see cref="DirectoryBackendOptions"/>), <c>farspan:</c>, <c>farspan+unix:</c>, <c>farspans:</c> and
    /// <c>farspans+unix:</c> (<see cref="Farspan.Wire.Client.FarspanClientBackend"/>); and, read-only, <c>pattern:SIZE</c> (bytes that anybody can compute)
    /// and <c>http:</c> and <c>https:</c> (an object of a web server that sends ranges).
    /// </summary>
    public static BackendRegistry AddCoreBackends(this BackendRegistry registry)
    {
        ArgumentNullException.ThrowIfNull(registry);
        foreach (string scheme in FarspanBackends.Schemes)
            registry.Register(scheme, FarspanBackends.OpenAsync);
        return registry
            .Register("memory", OpenMemoryAsync)
            .Register("file", OpenFileAsync)
            .Register("directory", OpenDirectoryAsync)
            .Register("pattern", OpenPatternAsync)
            .Register("http", HttpBackend.OpenAsync)
            .Register("https", HttpBackend.OpenAsync);
    }

    private static ValueTask<IBackend> OpenMemoryAsync(BackendUri uri, BackendOpenOptions options, CancellationToken cancellationToken)
    {
        uri.AllowOnly();
        if (uri.Authority is not null || !ByteSize.TryParse(uri.Path, out long length) || length is < 1 or > MemoryBackend.MaximumLength)
            throw new FormatException($"{uri} needs a size from 1 byte to {ByteSize.Format(MemoryBackend.MaximumLength)}, such as memory:1GiB.");
        return new ValueTask<IBackend>(new MemoryBackend(length));
    }

    private static ValueTask<IBackend> OpenPatternAsync(BackendUri uri, BackendOpenOptions options, CancellationToken cancellationToken)
    {
        uri.AllowOnly();
        if (uri.Authority is not null || !ByteSize.TryParse(uri.Path, out long length) || length < 1)
            throw new FormatException($"{uri} needs a size of at least 1 byte, such as pattern:1GiB.");
        return new ValueTask<IBackend>(new PatternBackend(length));
    }

    private static async ValueTask<IBackend> OpenFileAsync(BackendUri uri, BackendOpenOptions options, CancellationToken cancellationToken)
    {
        var parsed = FileBackendOptions.Parse(uri, options);
        string path = FileBackendOptions.PathOf(uri);
        var file = FileBackend.Open(path, parsed);
        return parsed.Lock ? await LocalLeasing.OfferAsync(file, path, options.Clock) : file;
    }

    private static async ValueTask<IBackend> OpenDirectoryAsync(BackendUri uri, BackendOpenOptions options, CancellationToken cancellationToken)
    {
        string path = FileBackendOptions.PathOf(uri);
        return await LocalLeasing.OfferAsync(DirectoryBackend.Open(path, DirectoryBackendOptions.Parse(uri, options)), path, options.Clock);
    }
}
