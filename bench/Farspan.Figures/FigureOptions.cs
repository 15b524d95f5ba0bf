namespace Farspan.Figures;

/// <summary>What the run was asked for.</summary>
internal sealed record FigureOptions
{
    /// <summary>The program under test.</summary>
    public required string Farspan { get; init; }

    /// <summary>The compiled load generators of bench/peers.</summary>
    public required string NbdLoad { get; init; }

    public required string FaultLoad { get; init; }

    public required string UserfaultHandler { get; init; }

    /// <summary>Where sockets, mount points and data lie; removed at the end.</summary>
    public required string Scratch { get; init; }

    /// <summary>Where the reports go.</summary>
    public required string Output { get; init; }

    /// <summary>Measurements of each contender for each row. Default 5.</summary>
    public int Rounds { get; init; } = 5;

    /// <summary>Seconds for each measurement. Default 2.</summary>
    public int Seconds { get; init; } = 2;
}
