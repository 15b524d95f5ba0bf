namespace Farspan.Migration;

/// <summary>What a host is to a region, as its record says. The numbers are the record's.</summary>
internal enum RegionRole
{
    /// <summary>Nothing: there is no record.</summary>
    None = 0,

    /// <summary>It owns the region, all of it is here, and it alone may write.</summary>
    Owner = 1,

    /// <summary>It has handed the region over, never writes it again, and serves what the new owner does not have yet.</summary>
    HandedOver = 2,

    /// <summary>The new owner has everything; what is here may be deleted.</summary>
    Released = 3,

    /// <summary>It copies the region from its owner, for a hand-over that may come.</summary>
    Following = 4,

    /// <summary>It owns the region and alone may write; some of it is still at the host that handed it over.</summary>
    Receiving = 5,

    /// <summary>It will never take the region over under this token, and has not told the owner yet.</summary>
    GaveUp = 6,
}
