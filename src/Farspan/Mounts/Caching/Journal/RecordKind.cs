namespace Farspan.Mounts.Caching.Journal;

/// <summary>What a record of the journal says.</summary>
internal enum RecordKind
{
    /// <summary>Ranges of a chunk are dirty: what was clean becomes dirty, what was not here is here in these ranges.</summary>
    Dirty = 1,

    /// <summary>Chunks are all here, and dirty where noted so; those of which nothing was noted are dirty throughout.</summary>
    Whole = 2,

    /// <summary>Chunks are all here and clean, with their checksums.</summary>
    Clean = 3,

    /// <summary>As <see cref="Clean"/>, but to be checked before use: power was lost since they were written.</summary>
    Unproven = 4,

    /// <summary>Chunks are forgotten.</summary>
    Discard = 5,

    /// <summary>The bytes that all frames before a sequence number speak of are durable.</summary>
    Checkpoint = 6,

    /// <summary>The cache was closed in order; nothing follows.</summary>
    Closed = 7,

    /// <summary>A flush failed: the bytes written since the last checkpoint may be lost, whatever else is said.</summary>
    Fault = 8,

    /// <summary>Chunks read as zero, and the remote may not know.</summary>
    Zero = 9,

    /// <summary>Of the chunks only what is dirty is here any more: others may have changed the rest at the remote.</summary>
    ForgetClean = 10,
}
