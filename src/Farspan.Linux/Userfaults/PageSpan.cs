namespace Farspan.Linux.Userfaults;

/// <summary>Pages of a region beside each other.</summary>
/// <param name="Offset">The first byte, from the region's start.</param>
/// <param name="Length">Bytes; whole pages.</param>
internal readonly record struct PageSpan(long Offset, long Length);
