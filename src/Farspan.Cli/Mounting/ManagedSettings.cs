using Farspan.Linux;
using Farspan.Mounts;

namespace Farspan.Cli.Mounting;

/// <summary>What a managed <c>farspan mount</c> was asked for.</summary>
internal sealed record ManagedSettings
{
    /// <summary>All that does not depend on the remote.</summary>
    public required ManagedMountOptions Options { get; init; }

    /// <summary>What is pulled before all else, in this order.</summary>
    public IReadOnlyList<ByteRange> PullFirst { get; init; } = [];

    /// <summary>The order of the rest.</summary>
    public PullOrder Rest { get; init; } = PullOrder.Linear;

    /// <summary>The options for a remote of this name and length.</summary>
    public ManagedMountOptions For(string remoteName, long length) => Options.WithLinuxFiles() with
    {
        RemoteName = remoteName,
        PullOrder = PullOrder.Ranges([.. PullFirst.Select(range => range.Within(length))], Rest),
    };
}
