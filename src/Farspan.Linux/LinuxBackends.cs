using Farspan.Backends;
using Farspan.Linux.Files;

namespace Farspan.Linux;

/// <summary>Registers the backends that need the Linux kernel.</summary>
public static class LinuxBackends
{
    /// <summary>
    /// Registers <c>file:PATH?size=SIZE&amp;direct=on&amp;lock=off</c> (<see cref="LinuxFileBackend"/>, see <see cref="FileBackendOptions"/>) in
    /// place of the portable one.
    /// </summary>
    public static BackendRegistry AddLinuxBackends(this BackendRegistry registry)
    {
        ArgumentNullException.ThrowIfNull(registry);
        return registry.Register("file", OpenFileAsync);
    }

    private static ValueTask<IBackend> OpenFileAsync(BackendUri uri, BackendOpenOptions options, CancellationToken cancellationToken)
        => new(LinuxFileBackend.Open(FileBackendOptions.PathOf(uri), FileBackendOptions.Parse(uri, options), options.Clock));
}
