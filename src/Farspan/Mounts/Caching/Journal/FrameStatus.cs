namespace Farspan.Mounts.Caching.Journal;

/// <summary>What was met where a frame could be.</summary>
internal enum FrameStatus
{
    /// <summary>A good frame.</summary>
    Read,

    /// <summary>The end of the file.</summary>
    End,

    /// <summary>The file ends inside what may be a good frame.</summary>
    Short,

    /// <summary>No good frame.</summary>
    Damaged,
}
