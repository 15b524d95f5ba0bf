namespace Farspan.Figures;

/// <summary>A load through <c>IBackend</c>.</summary>
/// <param name="IsWrite">Writes, or reads.</param>
/// <param name="Block">Bytes of each.</param>
/// <param name="Depth">How many at once.</param>
/// <param name="IsSequential">One after the other, or anywhere.</param>
internal sealed record BackendLoad(bool IsWrite, int Block, int Depth, bool IsSequential);
