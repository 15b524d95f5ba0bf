namespace Farspan.Figures;

/// <summary>How evenly a line was shared.</summary>
/// <param name="Jain">Jain's index of the bytes got: 1 where all got the same, 1/n where one got everything.</param>
/// <param name="SlowestToFastest">The least got by the most.</param>
/// <param name="LeastShare">In the worst half second, what the slowest one got by the mean of all.</param>
/// <param name="Used">Bytes got by what the line could carry.</param>
internal sealed record ShareFigures(double Jain, double SlowestToFastest, double LeastShare, double Used);
