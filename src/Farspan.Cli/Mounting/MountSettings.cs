using Farspan.Backends;
using Farspan.Cli.Serving;
using Farspan.Cli.Terminal;
using Farspan.Linux.Fuse;

namespace Farspan.Cli.Mounting;

/// <summary>What <c>farspan mount</c> and <c>farspan serve --managed</c> were asked for.</summary>
internal sealed record MountSettings
{
    /// <summary>The URI of what is mounted.</summary>
    public required string Remote { get; init; }

    /// <summary>TARGET, as <see cref="TargetPath"/> resolves it; null for a mount without a file, which is only served to clients.</summary>
    public required string? Target { get; init; }

    /// <summary>Open and mount for reading only. Default: false.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Time for connecting and for each request. Default: 30 s. More than zero.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The local cache, its pulls and pushes; null for a direct mount.</summary>
    public ManagedSettings? Managed { get; init; }

    /// <summary>How this process shows what it pushes when it ends.</summary>
    public ProgressMode Progress { get; init; }

    /// <summary>How the file appears.</summary>
    public FuseMountOptions Fuse { get; init; } = new();

    /// <summary>Where it is served to clients: beside the file for reading, without one for writing too. Default: nowhere.</summary>
    public ExportSettings Exports { get; init; } = new();

    /// <summary>The file that gets the trace of first accesses when the mount ends; null for none.</summary>
    public string? Record { get; init; }

    /// <summary>Whether the remote's URI means something else in another working directory.</summary>
    public bool DependsOnWorkingDirectory
    {
        get
        {
            var uri = BackendUri.Parse(Remote);
            bool isLocalPath = uri.Authority is null && !uri.Path.StartsWith('/') && uri.Scheme != "memory";
            return isLocalPath || uri.Get("socket") is { } socket && !socket.StartsWith('/');
        }
    }

    /// <summary>Names the remote the same way each time, in a cache directory.</summary>
    public string RemoteName => BackendUri.Parse(Remote).Identity;
}
