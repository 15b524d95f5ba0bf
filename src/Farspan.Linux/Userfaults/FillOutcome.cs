namespace Farspan.Linux.Userfaults;

/// <summary>What became of making pages present.</summary>
internal enum FillOutcome
{
    /// <summary>All are present: those that were absent hold the new bytes, those that were present theirs.</summary>
    Done,

    /// <summary>The memory is being rearranged; once the events that wait were read, it can be tried again. What was done stays.</summary>
    TryAgain,

    /// <summary>The memory is no longer there: unmapped, or its process has ended.</summary>
    Gone,

    /// <summary>The system has no memory for it.</summary>
    NoMemory,
}
