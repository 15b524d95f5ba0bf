namespace Farspan.Linux.Migration;

/// <summary>What a host is to a region.</summary>
public enum MigrationRole
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>It owns the region, all of it is here, and it alone may write.</summary>
    Owner = 1,

    /// <summary>It has handed the region over, and serves what the new owner does not have yet.</summary>
    HandedOver = 2,

    /// <summary>The new owner has everything.</summary>
    Released = 3,

    /// <summary>It copies the region from its owner.</summary>
    Following = 4,

    /// <summary>It owns the region and alone may write; some of it is still at the host that handed it over.</summary>
    Receiving = 5,

    /// <summary>It has given the move up, and has to tell the owner.</summary>
    GaveUp = 6,
}
