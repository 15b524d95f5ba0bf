namespace Farspan.Migration;

/// <summary>What follows from an event.</summary>
/// <param name="State">The state after it. Where its work is another than before, that work is to be begun now.</param>
/// <param name="Reply">What to tell the leecher.</param>
/// <param name="TakesRound">What was recorded becomes the round's list; that of the round before is not needed any more.</param>
internal readonly record struct SeederStep(SeederState State, SeederReply Reply, bool TakesRound = false);
