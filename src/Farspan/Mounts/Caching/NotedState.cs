namespace Farspan.Mounts.Caching;

/// <summary>What a noted chunk is.</summary>
internal enum NotedState
{
    /// <summary>All here, at the remote, with a checksum.</summary>
    Clean,

    /// <summary>As clean, if its bytes have the checksum.</summary>
    Unproven,

    /// <summary>All here and dirty throughout.</summary>
    WholeDirty,

    /// <summary>All here and dirty in some ranges.</summary>
    WholeDirtyInPart,

    /// <summary>Only the dirty ranges are here.</summary>
    Partial,
}
