namespace Farspan.EndToEnd.Tests.Migration.Rounds;

/// <summary>How a round goes, from a seed.</summary>
internal sealed record RoundPlan
{
    private static readonly Trouble[] s_troubles =
        [Trouble.Cut, Trouble.Cut, Trouble.Stall, Trouble.KillLeech, Trouble.KillLeech, Trouble.KillSeed, Trouble.KillSeed, Trouble.StopLeech, Trouble.StopSeed, Trouble.Signal];

    /// <summary>As <c>--finalize</c> takes it.</summary>
    public required string Finalize { get; init; }

    /// <summary>With <c>--compress</c>.</summary>
    public bool Compress { get; init; }

    /// <summary>With <c>--behind</c>.</summary>
    public bool Behind { get; init; }

    /// <summary>The source stops its program by <c>--program-group</c>; otherwise by a command.</summary>
    public bool BySignals { get; init; }

    /// <summary>The program at the destination starts when all is there: then both copies are the same.</summary>
    public bool WaitsAfterArrival { get; init; }

    /// <summary>What is left of the program at the source goes on after the hand-over, and must fail.</summary>
    public bool LetsOldFail { get; init; }

    /// <summary>The destination is started with <c>--listen</c>, and is what the next round leeches from.</summary>
    public bool IsMovedOn { get; init; }

    /// <summary>Where the region is moved on, its program is not ended between the rounds, and is compared later.</summary>
    public bool KeepsProgram { get; init; }

    /// <summary>What happens meanwhile.</summary>
    public required IReadOnlyList<PlannedTrouble> Troubles { get; init; }

    /// <summary>The plan of a round.</summary>
    public static RoundPlan Of(int seed, int round)
    {
        var random = new Random(unchecked((seed * 1_000_003) + round));
        string finalize = new[] { "auto", "auto", "0s", "2s", "manual", "cycle" }[random.Next(6)];
        var troubles = Enumerable.Range(0, random.Next(4)).Select(_ => new PlannedTrouble(
            s_troubles[random.Next(s_troubles.Length)], (TroublePoint)random.Next(5), Milliseconds(random.Next(3) == 0 ? random.Next(20) : random.Next(600)),
            Milliseconds(random.Next(700)))).ToList();
        if (finalize is "manual" or "cycle")
            troubles.Add(new PlannedTrouble(random.Next(2) == 0 ? Trouble.Signal : Trouble.Finalize, TroublePoint.Following, Milliseconds(200 + random.Next(1200)), TimeSpan.Zero));
        bool isSeedRestarted = troubles.Exists(trouble => trouble.Kind is Trouble.KillSeed or Trouble.StopSeed);
        return new RoundPlan
        {
            Finalize = finalize, Compress = random.Next(3) == 0, Behind = random.Next(4) == 0, BySignals = !isSeedRestarted && random.Next(2) == 0,
            WaitsAfterArrival = random.Next(3) == 0, LetsOldFail = random.Next(2) == 0, IsMovedOn = random.Next(2) == 0,
            KeepsProgram = random.Next(2) == 0, Troubles = troubles,
        };
    }

    public override string ToString()
        => $"--finalize {Finalize}{(Compress ? " --compress" : "")}{(Behind ? " --behind" : "")}{(BySignals ? " by signals" : "")}{(WaitsAfterArrival ? ", waits" : "")}{(LetsOldFail ? ", old fails" : "")}{(IsMovedOn ? ", moves on" : "")}{(KeepsProgram ? ", keeps its program" : "")}; {string.Join("; ", Troubles)}";

    private static TimeSpan Milliseconds(int milliseconds) => TimeSpan.FromMilliseconds(milliseconds);
}
