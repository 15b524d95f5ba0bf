namespace Farspan.Tests.Stages;

/// <summary>A storey of a random stack.</summary>
/// <param name="Kind">The stage.</param>
/// <param name="Shift">Its chunk has 2 to the power of this many bytes.</param>
/// <param name="Width">Its concurrency, and how many chunks go into a request.</param>
public sealed record StageChoice(StageKind Kind, int Shift, int Width);
