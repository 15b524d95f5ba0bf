namespace Farspan.Stages;

/// <summary>A part of a write.</summary>
/// <param name="Start">First byte, from the start of the write's buffer.</param>
/// <param name="Length">Number of bytes, at least 1.</param>
/// <param name="IsZero">Whether all of them are zero.</param>
internal readonly record struct ZeroRun(int Start, int Length, bool IsZero);
