using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Linux.Mounts;
using Farspan.Migration.Finalizing;

namespace Farspan.Linux.Migration;

/// <summary>How a <see cref="Migrator"/> works.</summary>
public sealed record MigratorOptions
{
    /// <summary>
    /// The directory that keeps who owns the region; made where it is absent, and held while the migrator is open. Every start with the same store gives the same
    /// one.
    /// </summary>
    public required string StateDirectory { get; init; }

    /// <summary>Where the region is a file: an absent path or a regular file, which becomes it; or a directory, which gets it inside. Default: null, no file.</summary>
    public string? Target { get; init; }

    /// <summary>How that file is mounted. Default: as <see cref="DirectMountOptions"/> has it.</summary>
    public DirectMountOptions Mount { get; init; } = new();

    /// <summary>
    /// Has the program write no more until <see cref="Resume"/>; called before a hand-over from here. What it has mapped by <see cref="Migrator.Map"/>, or keeps
    /// in the kernel of the mounted file, is written back afterwards. Where it throws the program goes on here. Default: null, nothing to call.
    /// </summary>
    public Func<CancellationToken, ValueTask>? Suspend { get; init; }

    /// <summary>
    /// Lets the program begin or go on; called when the region has come here, when a migrator is opened where it is, and when a hand-over from here did not succeed. Tried again where it throws. Default:
    /// null, nothing to call.
    /// </summary>
    public Func<CancellationToken, ValueTask>? Resume { get; init; }

    /// <summary>How long <see cref="Suspend"/> and <see cref="Resume"/> may take, each. Default: 30 s.</summary>
    public TimeSpan StepTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>When a region that is leeched is asked for. Default: a new <see cref="AutoFinalize"/>.</summary>
    public IFinalizePolicy Policy { get; init; } = new AutoFinalize();

    /// <summary>Bytes by which changes are told to a leecher: a power of two up to 32 MiB. Default: 64 KiB.</summary>
    public int ChunkSize { get; init; } = 64 << 10;

    /// <summary>Stores that may have chunks of a region that is leeched; each is believed where its digest is the seeder's. Not owned. Default: none.</summary>
    public IReadOnlyList<IBackend> Sources { get; init; } = [];

    /// <summary>
    /// A store that both hosts of a move reach and that has whatever a flush covered, so that the loss of either host loses nothing that was flushed; both have to
    /// be given it. Where it gives leases, its lease moves with the region. Owned by the migrator. Default: null, none.
    /// </summary>
    public IBackend? Behind { get; init; }

    /// <summary>Whether bytes are compressed on their way here. Default: false.</summary>
    public bool Compress { get; init; }

    /// <exception cref="ArgumentException">A property is outside what its description allows.</exception>
    internal void Validate()
    {
        ArgumentException.ThrowIfNullOrEmpty(StateDirectory);
        ArgumentNullException.ThrowIfNull(Policy);
        ArgumentNullException.ThrowIfNull(Sources);
        ArgumentNullException.ThrowIfNull(Mount);
        Mount.Validate();
        ChunkLayout.CheckChunkSize(ChunkSize);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(StepTimeout, TimeSpan.Zero);
    }
}
