namespace Farspan.Tests.Mounts.Caching;

/// <summary>The history of 256 bytes of a region: what they may be after a crash.</summary>
internal sealed class UnitModel(int version)
{
    /// <summary>The version that the remote has.</summary>
    public int Remote { get; set; } = version;

    /// <summary>The version of the last write that was acknowledged.</summary>
    public int Acknowledged { get; set; } = version;

    /// <summary>What a read through the cache sees, where the unit is here.</summary>
    public int Current { get; set; } = version;

    public bool IsHere { get; set; }

    public bool IsDirty { get; set; }

    /// <summary>What a loss of power may leave: the last flushed version, and all later ones.</summary>
    public List<int> Possible { get; private set; } = [version];

    /// <summary>What a read finds of a version: itself, or 0 of one of the negative ones, which are zeroes.</summary>
    public static int Content(int version) => Math.Max(0, version);

    /// <summary>A flush completed that began when <paramref name="acknowledged"/> was the last acknowledged version.</summary>
    public void Flushed(int acknowledged)
    {
        int floor = Possible.IndexOf(acknowledged);
        if (floor > 0)
            Possible.RemoveRange(0, floor);
    }

    /// <summary>What a crash may leave: with the power on, nothing acknowledged is missing.</summary>
    public bool MayBe(int version, bool wasPowerLost)
    {
        int from = wasPowerLost ? 0 : Possible.IndexOf(Acknowledged);
        return Possible.FindIndex(from, possible => Content(possible) == version) >= 0;
    }

    /// <summary>After a crash: the unit is this version now, durably.</summary>
    public void Recovered(int version, bool isHere, bool isDirty)
    {
        Possible = [version];
        Acknowledged = version;
        Current = version;
        IsHere = isHere;
        IsDirty = isDirty;
    }
}
