namespace Farspan.Backends;

/// <summary>A run of bytes with one allocation state.</summary>
/// <param name="Offset">First byte, from the start of the backend.</param>
/// <param name="Length">Number of bytes, at least 1.</param>
/// <param name="Kind">What is known of them.</param>
public readonly record struct Extent(long Offset, long Length, ExtentKind Kind);
