using Farspan.Backends;
using Farspan.Migration;

namespace Farspan.Wire.Server;

/// <summary>A backend that a <see cref="FarspanServer"/> serves, which stays its owner's.</summary>
public sealed record FarspanExport
{
    /// <summary>The name that clients ask for. Default: empty.</summary>
    public string Name { get; init; } = "";

    /// <summary>A line for people. Default: empty.</summary>
    public string Description { get; init; } = "";

    /// <summary>What is served.</summary>
    public required IBackend Backend { get; init; }

    /// <summary>Refuse writes and leases. Default: false, which still serves a read-only backend as such.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>
    /// The file that keeps the last lease, made when the first one is given; for a backend that outlives the server. Default: null, which keeps
    /// it in memory.
    /// </summary>
    public string? LeaseFile { get; init; }

    /// <summary>A region that is being moved: then nothing else is served. Stays its owner's, too. Default: null.</summary>
    internal ISeeder? Seeder { get; init; }

    /// <summary>A region that is being moved, as an export.</summary>
    internal static FarspanExport Of(ISeeder seeder) => new() { Backend = new MovingBackend(seeder.Description.Length), Seeder = seeder };
}
