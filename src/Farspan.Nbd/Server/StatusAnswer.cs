using Farspan.Backends;

namespace Farspan.Nbd.Server;

/// <summary>What the backend said of one context of a block status request.</summary>
internal sealed class StatusAnswer
{
    /// <summary>What base:allocation has bits for, the same as ours. Whatever else a kind may say one day is not for clients.</summary>
    private const ExtentKind KindsOnTheWire = ExtentKind.Hole | ExtentKind.Zero;

    /// <summary>Where the backend's extents go, for allocation.</summary>
    public List<Extent> Extents { get; } = [];

    /// <summary>Where the runs of a map go.</summary>
    public List<StateRun> Runs { get; } = [];

    public ServedContext Context { get; private set; } = null!;

    /// <summary>Bytes from the request's offset on that were asked for.</summary>
    public long Length { get; private set; }

    /// <summary>Runs that were asked for.</summary>
    public int Limit { get; private set; }

    public int Count => Context.MapName is null ? Extents.Count : Runs.Count;

    /// <summary>Whether it is too large to be kept for the next request.</summary>
    public bool IsLarge => Extents.Capacity > 4096 || Runs.Capacity > 4096;

    public StateRun this[int index]
    {
        get
        {
            if (Context.MapName is not null)
                return Runs[index];
            var extent = Extents[index];
            return new StateRun(extent.Offset, extent.Length, (uint)(extent.Kind & KindsOnTheWire));
        }
    }

    public void Begin(ServedContext context, long length, int limit)
    {
        Context = context;
        Length = length;
        Limit = limit;
        Extents.Clear();
        Runs.Clear();
    }
}
