namespace Farspan.Mounts;

/// <summary>Whether a managed mount takes the remote's exclusive lease (<see cref="Backends.ILeasing"/>).</summary>
public enum LeaseUse
{
    /// <summary>Where the remote offers one and the mount may write.</summary>
    WhenOffered,

    /// <summary>Always; opening fails where there is none.</summary>
    Required,

    /// <summary>Never: somebody else sees to it that there is one writer.</summary>
    Never,
}
