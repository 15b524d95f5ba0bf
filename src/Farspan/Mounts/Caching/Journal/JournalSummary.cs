namespace Farspan.Mounts.Caching.Journal;

/// <summary>What a first reading of a journal found.</summary>
/// <param name="Header">Its header.</param>
/// <param name="HeaderLength">Bytes of its header.</param>
/// <param name="End">Where its good frames end.</param>
/// <param name="NextSequence">The number of the frame that would come next.</param>
/// <param name="Covered">Frames with a smaller number speak of bytes that are durable.</param>
/// <param name="IsClosed">Whether the cache was closed in order.</param>
/// <param name="HasFault">Whether a flush had failed.</param>
internal sealed record JournalSummary(
    JournalHeader Header, int HeaderLength, long End, long NextSequence, long Covered, bool IsClosed, bool HasFault);
