namespace Farspan.Figures.Policies.Model;

/// <summary>How a program writes.</summary>
/// <param name="Name">For people.</param>
/// <param name="BusyRate">Bytes of chunks a second in a busy phase.</param>
/// <param name="BusySeconds">Mean length of a busy phase.</param>
/// <param name="QuietRate">Bytes of chunks a second in a quiet phase.</param>
/// <param name="QuietSeconds">Mean length of a quiet phase.</param>
internal sealed record WriterLoad(string Name, double BusyRate, double BusySeconds, double QuietRate, double QuietSeconds)
{
    /// <summary>By what part a phase may be longer or shorter than the mean.</summary>
    public double Jitter { get; init; }

    /// <summary>Whether lengths of phases are exponentially distributed instead: no phase tells anything of the next.</summary>
    public bool Random { get; init; }

    /// <summary>By what part the rate varies from moment to moment.</summary>
    public double Noise { get; init; } = 0.2;

    /// <summary>How many chunks are written at all; each write goes to any of them.</summary>
    public int HotChunks { get; init; } = MigrationModel.RegionChunks;

    /// <summary>A load without phases.</summary>
    public static WriterLoad Constant(string name, double rate) => new(name, rate, 1, rate, 1);
}
