namespace Farspan.Mounts;

/// <summary>What a managed mount does while its remote does not answer with calls that need it. What is local is always served.</summary>
public enum OutageBehavior
{
    /// <summary>They wait until the remote is back, at most for <see cref="ManagedMountOptions.OutageTimeout"/>, and then fail.</summary>
    Wait,

    /// <summary>They fail at once.</summary>
    FailFast,

    /// <summary>
    /// Reads of what is not local fail at once. A flush makes everything durable in the cache directory instead of at the remote, as with
    /// <see cref="FlushMode.Local"/>, for as long as the outage lasts; so it needs a cache directory.
    /// </summary>
    ServeLocal,
}
