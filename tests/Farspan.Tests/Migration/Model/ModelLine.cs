namespace Farspan.Tests.Migration.Model;

/// <summary>What a host knows of the store behind its region.</summary>
internal enum ModelLine : byte
{
    /// <summary>It has not asked for it.</summary>
    None,

    /// <summary>It is compared.</summary>
    IsCompared,

    /// <summary>It has all that flushes covered.</summary>
    IsInLine,

    /// <summary>Somebody else had it meanwhile.</summary>
    IsLost,
}
