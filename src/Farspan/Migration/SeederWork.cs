namespace Farspan.Migration;

/// <summary>What a seeder is busy with; one thing at a time, and what comes next depends on how it ended.</summary>
internal enum SeederWork : byte
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>Stopping the application and closing the gate to its writes.</summary>
    Suspending,

    /// <summary>Making everything durable that was written.</summary>
    Flushing,

    /// <summary>Keeping the record that hands the region over. Until it has ended nobody knows whose the region is.</summary>
    Committing,

    /// <summary>Keeping the record that takes it back, until that succeeds. The application stays suspended meanwhile.</summary>
    TakingBack,

    /// <summary>Opening the gate and letting the application go on, until that succeeds.</summary>
    Resuming,

    /// <summary>Keeping the record that lets go.</summary>
    Releasing,
}
