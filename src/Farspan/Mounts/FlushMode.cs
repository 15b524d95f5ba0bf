namespace Farspan.Mounts;

/// <summary>Where what was written is durable once a flush has completed.</summary>
public enum FlushMode
{
    /// <summary>At the remote.</summary>
    Remote,

    /// <summary>In the cache directory, which is then pushed in the background. It is lost with the machine that holds the cache.</summary>
    Local,
}
