namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>A point of a move, from which a time is counted.</summary>
internal enum TroublePoint
{
    /// <summary>The destination's program was started.</summary>
    Begun,

    /// <summary>It follows.</summary>
    Following,

    /// <summary>The source's record says that it has handed over.</summary>
    HandedOver,

    /// <summary>The destination's record says that it receives, or has all.</summary>
    Received,

    /// <summary>Everything is at the destination.</summary>
    Complete,
}
