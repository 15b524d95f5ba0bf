namespace Farspan.Mounts;

/// <summary>What a managed mount tells its owner. Each must be thread-safe; those that return nothing must be quick and not throw.</summary>
public sealed record ManagedMountHooks
{
    /// <summary>Runs before a round of pushes that the push interval or the close begins, and is awaited: the place to write down what the
    /// program still holds back. What it throws is kept as the mount's last error, and the round goes on. Default: none.</summary>
    public Func<CancellationToken, ValueTask>? BeforeSync { get; init; }

    /// <summary>Runs when the mount begins to close, before the last round, and is awaited; as <see cref="BeforeSync"/>. Default: none.</summary>
    public Func<CancellationToken, ValueTask>? BeforeClose { get; init; }

    /// <summary>Is told of each run of bytes (offset, length) that was pulled and is local now. Default: none.</summary>
    public Action<long, long>? BecameLocal { get; init; }

    /// <summary>Is told when the remote stops answering. Default: none.</summary>
    public Action<MountOutage>? OutageBegan { get; init; }

    /// <summary>Is told when it answers again. Default: none.</summary>
    public Action<MountOutage>? OutageEnded { get; init; }
}
