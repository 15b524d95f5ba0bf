using Farspan.Migration;

namespace Farspan.Tests.Migration.Model;

/// <summary>A host with its disk, its application and one chunk of the region.</summary>
internal struct ModelHost
{
    public bool IsUp;

    /// <summary>Whether the application runs, and so may write at any moment.</summary>
    public bool IsRunning;

    /// <summary>The record that a start would find.</summary>
    public RegionRecord Disk;

    public SeederState Seeder;
    public LeecherState Leecher;

    /// <summary>The chunk as programs see it, and what a loss of power leaves of it.</summary>
    public byte Value;
    public ModelKind Kind;
    public byte DurableValue;
    public ModelKind DurableKind;

    /// <summary>Whether the seeder's recording names the chunk: since the last round, and in it.</summary>
    public bool IsRecorded;
    public bool IsInRound;

    /// <summary>Whether requests of leechers are answered; else the host has nothing, or a leecher brings, or brought, it the region.</summary>
    public bool IsSeeder;

    /// <summary>Whether the host that was here before was lost for good, with its disk; this one was empty.</summary>
    public bool IsReplaced;

    public ModelMirror Mirror;

    public readonly bool IsIdle => Seeder.Work == SeederWork.None && Leecher.Work == LeecherWork.None;

    public void Start(RuleSet rules)
    {
        IsUp = true;
        Seeder = rules.StartSeeder(Disk, Seeder.LastSession);
        Leecher = LeecherRules.Start(Disk, Leecher.Generation + 1);
        IsRunning = Seeder.MayRun && Leecher.MayRun;
        IsSeeder = Disk.Role is RegionRole.HandedOver or RegionRole.Released || (Disk.Role == RegionRole.Owner && Disk.Token == Guid.Empty);
    }

    public void Crash()
    {
        IsUp = IsRunning = IsRecorded = IsInRound = IsSeeder = false;
        Mirror.Reset();
        Seeder = new SeederState(default, LastSession: Seeder.LastSession);
        Leecher = new LeecherState(default, Generation: Leecher.Generation);
        Value = DurableValue;
        Kind = DurableKind;
    }
}
