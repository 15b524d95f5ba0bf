namespace Farspan.Tests.Migration.Model;

/// <summary>How far a flush is that has to reach the store behind the region, too.</summary>
internal enum ModelFlush : byte
{
    /// <summary>There is none.</summary>
    None,

    /// <summary>What was changed before is durable at the host.</summary>
    IsHere,

    /// <summary>It is on its way to the store.</summary>
    IsCarried,

    /// <summary>It is there; the hand-over has not been told yet.</summary>
    IsThere,
}
