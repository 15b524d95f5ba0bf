namespace Farspan.Figures;

/// <summary>One question put to every contender.</summary>
/// <param name="Name">What is measured, with its sizes.</param>
/// <param name="Unit">The unit of the figure.</param>
/// <param name="MoreIsBetter">Whether the ratio is ours to theirs (true) or theirs to ours.</param>
/// <param name="Aim">What design asks for, as text.</param>
/// <param name="MeasureAsync">Takes one measurement.</param>
internal sealed record Workload(string Name, string Unit, bool MoreIsBetter, string Aim, Func<Contender, Task<double>> MeasureAsync);
