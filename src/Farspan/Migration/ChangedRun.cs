namespace Farspan.Migration;

/// <summary>Chunks next to each other that changed.</summary>
/// <param name="FirstChunk">The first.</param>
/// <param name="Count">How many.</param>
internal readonly record struct ChangedRun(long FirstChunk, long Count);
