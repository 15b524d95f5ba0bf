namespace Farspan.Migration;

/// <summary>What a leecher asks of a seeder. All calls go this way, so that any wire with requests and replies carries them.</summary>
internal enum SeederCall : byte
{
    None,

    /// <summary>Begin to record changes, in a session of their own; the copy that the leecher has counts as unproven.</summary>
    Track,

    /// <summary>The chunks that changed since the last round, as the next round; the same round again where its reply was lost.</summary>
    Round,

    /// <summary>Bytes, or a digest of them.</summary>
    Read,

    /// <summary>Suspend, flush, hand over. The reply is the commit.</summary>
    Finalize,

    /// <summary>Everything is durable at the leecher: let go.</summary>
    Close,

    /// <summary>The leecher never takes the region over under this token: go on, or take it back.</summary>
    GiveUp,
}
