namespace Farspan.Cli.Copying;

/// <summary>A unit of work of a copy: a range of data that fits one request, or a longer range that reads as zero at the source.</summary>
internal readonly record struct CopyPiece(long Offset, long Length, bool IsZero);
