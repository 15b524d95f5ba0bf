namespace Farspan.Tests.Migration.Model;

/// <summary>What a host knows of the model's one chunk.</summary>
internal enum ModelKind : byte
{
    /// <summary>It is not here.</summary>
    None,

    /// <summary>Bytes are here that may be old.</summary>
    Unproven,

    /// <summary>They are what the seeder has, but for what it records.</summary>
    OfSession,

    /// <summary>They are the region's.</summary>
    Valid,
}
