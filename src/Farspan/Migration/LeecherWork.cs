namespace Farspan.Migration;

/// <summary>What a leecher is busy with; one thing at a time.</summary>
internal enum LeecherWork : byte
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>Keeping the record that says which move this is.</summary>
    Beginning,

    /// <summary>Keeping the record that makes this host the owner.</summary>
    Accepting,

    /// <summary>Opening the gate and letting the application begin, until that succeeds.</summary>
    Resuming,

    /// <summary>Making everything durable that came from the seeder, now that all of it has come.</summary>
    Flushing,

    /// <summary>Keeping the record that says so.</summary>
    Settling,

    /// <summary>Keeping the record that the seeder has let go.</summary>
    Closing,

    /// <summary>Keeping the record that this move never succeeds, until that is kept for certain.</summary>
    GivingUp,

    /// <summary>Forgetting the move, which the seeder has forgotten.</summary>
    Forgetting,
}
