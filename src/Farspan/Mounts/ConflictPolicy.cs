namespace Farspan.Mounts;

/// <summary>
/// What opening a mount does when its cache directory holds bytes that were not pushed, and others may have changed the remote since. What is
/// not dirty is pulled anew in any case.
/// </summary>
public enum ConflictPolicy
{
    /// <summary>It fails, says how much is at stake, and changes nothing.</summary>
    Refuse,

    /// <summary>What was not pushed is pushed, over what others wrote in the same places.</summary>
    Push,

    /// <summary>What was not pushed is given up.</summary>
    Discard,
}
