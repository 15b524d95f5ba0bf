namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>What a round does to a move.</summary>
internal enum Trouble
{
    /// <summary>Breaks every connection, and refuses new ones for a while.</summary>
    Cut,

    /// <summary>Carries nothing for a while, with every connection open.</summary>
    Stall,

    /// <summary>Kills the program at the destination, and starts it with the same command.</summary>
    KillLeech,

    /// <summary>Kills the program at the source, and starts it with the same command.</summary>
    KillSeed,

    /// <summary>Ctrl-C at the destination: before the hand-over the move is given up, after it the same command goes on.</summary>
    StopLeech,

    /// <summary>Ctrl-C at the source, twice where it is refused once.</summary>
    StopSeed,

    /// <summary>Asks for the hand-over by SIGUSR1.</summary>
    Signal,

    /// <summary>Asks for the hand-over by <c>farspan finalize</c>.</summary>
    Finalize,
}
