using Farspan.Cli.Serving;
using Farspan.Linux.Fuse;
using Farspan.Migration;
using Farspan.Migration.Finalizing;

namespace Farspan.Cli.Migration;

/// <summary>What <c>farspan leech</c> was asked for.</summary>
internal sealed record LeechSettings
{
    /// <summary>The URI of the seeder.</summary>
    public required string Source { get; init; }

    /// <summary>TARGET, as <see cref="Mounting.TargetPath"/> resolves it.</summary>
    public required string Target { get; init; }

    /// <summary>The URI of the store that gets the region.</summary>
    public required string Local { get; init; }

    /// <summary>The record directory; null for the one beside the store.</summary>
    public string? State { get; init; }

    /// <summary>The URI of the store behind the region; null for none.</summary>
    public string? Behind { get; init; }

    /// <summary>The URIs of other stores that may have some of the region. Default: none.</summary>
    public IReadOnlyList<string> Sources { get; init; } = [];

    /// <summary>When to ask for the hand-over.</summary>
    public required IFinalizePolicy Policy { get; init; }

    /// <summary>Where the next host finds the region, once all of it is here. Default: nowhere.</summary>
    public ExportSettings Exports { get; init; } = new();

    /// <summary>How the program is started, and stopped for the next hand-over.</summary>
    public HookSettings Hooks { get; init; } = new();

    /// <summary>How the file appears.</summary>
    public FuseMountOptions Fuse { get; init; } = new();

    /// <summary>Ask for compressed bytes. Default: false.</summary>
    public bool Compress { get; init; }

    /// <summary>Time for starting the program. Default: 30 s. More than zero.</summary>
    public TimeSpan StepTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Time for connecting and for each request. Default: 30 s. More than zero.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How progress is shown.</summary>
    public Terminal.ProgressMode Progress { get; init; }

    /// <summary>Whether the next host can leech the region from here.</summary>
    public bool IsSeededOn => Exports.Listen.Count > 0;

    /// <summary>The settings of a seed of what has come, where the record says that nothing more has to come: the region is seeded on, or was handed over already.</summary>
    /// <returns>Null where it has to be leeched.</returns>
    public SeedSettings? ToSeed(RegionRecord record)
        => IsSeededOn && (record.Role == RegionRole.HandedOver || (record.Role == RegionRole.Owner && record.Token == Guid.Empty))
            ? new SeedSettings
            {
                Backend = Local, Target = Target, Exports = Exports, State = State, Behind = Behind, Hooks = Hooks, Fuse = Fuse, Resumes = true, StepTimeout = StepTimeout,
                Timeout = Timeout,
            }
            : null;
}
