using Farspan.Cli.Serving;
using Farspan.Linux.Fuse;
using Farspan.Migration;

namespace Farspan.Cli.Migration;

/// <summary>What <c>farspan seed</c> was asked for.</summary>
internal sealed record SeedSettings
{
    /// <summary>The URI of the store that has the region.</summary>
    public required string Backend { get; init; }

    /// <summary>TARGET, as <see cref="Mounting.TargetPath"/> resolves it.</summary>
    public required string Target { get; init; }

    /// <summary>Where leechers find it.</summary>
    public required ExportSettings Exports { get; init; }

    /// <summary>The record directory; null for the one beside the store.</summary>
    public string? State { get; init; }

    /// <summary>The URI of the store behind the region; null for none.</summary>
    public string? Behind { get; init; }

    /// <summary>Bytes of a chunk. Default: 64 KiB.</summary>
    public int ChunkSize { get; init; } = 64 << 10;

    /// <summary>How the program is stopped and started.</summary>
    public HookSettings Hooks { get; init; } = new();

    /// <summary>How the file appears.</summary>
    public FuseMountOptions Fuse { get; init; } = new();

    /// <summary>Take back by force what was handed over. Default: false.</summary>
    public bool TakeBack { get; init; }

    /// <summary>Start the program, too, where the region is here; else that is left to whoever runs this. Default: false.</summary>
    public bool Resumes { get; init; }

    /// <summary>Time for a suspension, a flush and a resumption, each. Default: 30 s. More than zero.</summary>
    public TimeSpan StepTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Time for connecting to a remote store and for each request. Default: 30 s. More than zero.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Checks that a region whose record says this can be seeded so.</summary>
    /// <exception cref="CommandException">It cannot.</exception>
    public void Check(RegionRecord record)
    {
        if (TakeBack && Behind is not null)
            throw new CommandException($"the store behind {Backend} has what the new owner flushed, and what is taken back by force is older: leave out --behind, or seed {Behind} anew");
        if (TakeBack && record.Role != RegionRole.HandedOver)
            throw new CommandException($"{Backend} was not handed over to anybody who still needs it ({RegionText.Of(record.Role)}), so that there is nothing to take back; leave out --take-back");
        if (record.Role == RegionRole.Released)
            throw new CommandException($"the region {record.Region} of {Backend} has moved to another host (epoch {record.Epoch}), which has all of it; 'farspan leech URI TARGET --local {Backend}' gets it back from there");
        if (record.Role is RegionRole.Following or RegionRole.Receiving or RegionRole.GaveUp)
            throw new CommandException($"the region of {Backend} is on its way here ({RegionText.Of(record.Role)}); end that move with 'farspan leech' before you seed it");
    }
}
