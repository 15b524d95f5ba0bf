using Farspan.Linux;
using Farspan.Mounts;
using Farspan.Mounts.Tracing;

namespace Farspan.Cli.Mounting;

/// <summary>What a managed <c>farspan mount</c> was asked for.</summary>
internal sealed record ManagedSettings
{
    /// <summary>All that does not depend on the remote.</summary>
    public required ManagedMountOptions Options { get; init; }

    /// <summary>What is pulled before all else, in this order.</summary>
    public IReadOnlyList<ByteRange> PullFirst { get; init; } = [];

    /// <summary>What is pulled next, in the order in which it was once used; null for nothing.</summary>
    public PullTrace? Trace { get; init; }

    /// <summary>The order of the rest.</summary>
    public PullOrder Rest { get; init; } = PullOrder.Linear;

    /// <summary>The options for a remote of this name and length.</summary>
    /// <exception cref="CommandException">The trace is one of a region of another length.</exception>
    public ManagedMountOptions For(string remoteName, long length)
    {
        if (Trace is { } trace && trace.Layout.Length != length)
            throw new CommandException($"the trace is one of {trace.Layout.Length} bytes, and {remoteName} has {length}; record another, or leave out --pull-order");
        var first = PullFirst.Select(range => range.Within(length));
        return Options.WithLinuxFiles() with
        {
            RemoteName = remoteName,
            PullOrder = PullOrder.Ranges([.. first, .. Trace?.Ranges ?? []], Rest),
        };
    }
}
