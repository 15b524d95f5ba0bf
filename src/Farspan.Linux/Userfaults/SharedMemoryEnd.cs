namespace Farspan.Linux.Userfaults;

/// <summary>What becomes of another process's memory when it is served no more.</summary>
internal enum SharedMemoryEnd
{
    /// <summary>Touches of what is absent end in SIGBUS; writes to what is present wait, since nobody would save them.</summary>
    Sealed,

    /// <summary>The same, but what is present is its owner's to write.</summary>
    HandedBack,

    /// <summary>Nothing is done to it: its owner has ended first, and may have other memory in its place.</summary>
    Left,

    /// <summary>It is as it was before: nobody has used it yet.</summary>
    Undone,
}
