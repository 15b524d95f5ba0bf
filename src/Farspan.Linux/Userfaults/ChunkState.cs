namespace Farspan.Linux.Userfaults;

/// <summary>Where a chunk of a region is.</summary>
internal enum ChunkState
{
    /// <summary>Not in memory; a touch is a fault.</summary>
    Absent,

    /// <summary>Being brought by one thread or task. Who else wants it waits.</summary>
    Filling,

    /// <summary>In memory.</summary>
    Present,

    /// <summary>Being dropped by one thread. Who wants it waits, and brings it again.</summary>
    Evicting,

    /// <summary>It could not be brought, and a thread waited for it: a touch ends in SIGBUS. It can be asked for again.</summary>
    Poisoned,

    /// <summary>The memory is no longer there.</summary>
    Gone,
}
