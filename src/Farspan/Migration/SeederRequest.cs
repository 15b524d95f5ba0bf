namespace Farspan.Migration;

/// <summary>A leecher's request, as far as the rules care.</summary>
/// <param name="Call">What it asks.</param>
/// <param name="Token">The move.</param>
/// <param name="Session">The recording that it counts on, from the reply to Track; 0 where it counts on none.</param>
/// <param name="Round">For Round the one that is wanted, for Finalize the last that was received.</param>
/// <param name="Generation">The leecher's own, which the reply repeats; a reply to an older one says nothing of now.</param>
internal readonly record struct SeederRequest(SeederCall Call, Guid Token, long Session = 0, int Round = 0, long Generation = 0);
