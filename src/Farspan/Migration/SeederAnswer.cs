namespace Farspan.Migration;

/// <summary>How a seeder answers.</summary>
internal enum SeederAnswer : byte
{
    /// <summary>Not yet: ask the rules again when the work that goes on has ended.</summary>
    Wait,

    /// <summary>It will not; the leecher's session, if it had one, is over.</summary>
    Refused,

    /// <summary>Another leecher is being served.</summary>
    Busy,

    /// <summary>Changes are recorded from now on.</summary>
    Tracking,

    /// <summary>The round that was asked for.</summary>
    Round,

    /// <summary>The bytes may be read.</summary>
    Bytes,

    /// <summary>The region is the leecher's, durably, since before this was said.</summary>
    Yours,

    /// <summary>The seeder has let go.</summary>
    Released,

    /// <summary>The seeder has the region, and knows nothing of the token any more.</summary>
    GivenUp,
}
