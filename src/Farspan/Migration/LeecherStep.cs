namespace Farspan.Migration;

/// <summary>What follows from an event.</summary>
/// <param name="State">The state after it. Where its work is another than before, that work is to be begun, after <paramref name="Copy"/>.</param>
/// <param name="Copy">What changes of the copy.</param>
internal readonly record struct LeecherStep(LeecherState State, CopyChange Copy = CopyChange.None);
