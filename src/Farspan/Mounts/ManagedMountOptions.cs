using System.Diagnostics.Metrics;
using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Mounts;

/// <summary>How a managed mount pulls, keeps and pushes.</summary>
public sealed record ManagedMountOptions
{
    /// <summary>Bytes of a chunk: a power of two from 4 KiB to 32 MiB. Default: 64 KiB.</summary>
    public int ChunkSize { get; init; } = 64 << 10;

    /// <summary>The directory that keeps what is local, and what is dirty, over a crash or a restart. Default: null, the cache is in memory.</summary>
    public string? CacheDirectory { get; init; }

    /// <summary>Names the remote, such as by its URI, so that a cache directory is never used for another. Default: null; a cache directory needs
    /// it.</summary>
    public string? RemoteName { get; init; }

    /// <summary>Opens a file of the cache directory, by its path, that holds the cached bytes. Default: null, a <see cref="FileBackend"/>, which
    /// cannot give space back.</summary>
    public Func<string, IBackend>? OpenCacheFile { get; init; }

    /// <summary>Makes the names in a directory, by its path, durable. Default: null, the system does so in time.</summary>
    public Action<string>? SyncDirectory { get; init; }

    /// <summary>Bytes that the cache may hold; clean chunks make room for others. At least 16 chunks. Default: null, no limit.</summary>
    public long? CacheSizeLimit { get; init; }

    /// <summary>What a completed flush means. <see cref="FlushMode.Local"/> needs a cache directory. Default: <see cref="FlushMode.Remote"/>.</summary>
    public FlushMode Flush { get; init; } = FlushMode.Remote;

    /// <summary>What is pulled that nobody has asked for. Default: <see cref="BackgroundPull.Everything"/>.</summary>
    public BackgroundPull BackgroundPull { get; init; } = BackgroundPull.Everything;

    /// <summary>Pulls in flight at once beside those that somebody waits for, from 1 to 65536. Default: null, as many as make the line faster.</summary>
    public int? PullWorkers { get; init; }

    /// <summary>In which order everything is pulled. Default: from the first byte to the last.</summary>
    public PullOrder PullOrder { get; init; } = PullOrder.Linear;

    /// <summary>How often what is dirty is pushed. From 10 ms to a day. Default: 5 s.</summary>
    public TimeSpan PushInterval { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Dirty bytes from which on the pusher does not wait for the interval; whole chunks that were written in one go may be sent before. At least a
    /// chunk. Default: 64 MiB.</summary>
    public long DirtySoftLimit { get; init; } = 64 << 20;

    /// <summary>Dirty bytes beyond which writers wait. At least <see cref="DirtySoftLimit"/>. Default: 512 MiB, or half of the cache's limit where
    /// that is less.</summary>
    public long DirtyHardLimit { get; init; } = 512 << 20;

    /// <summary>Bytes that all buffers of pulls and pushes take together. At least four chunks and 1 MiB. Default: null, 64 MiB or four chunks,
    /// whichever is more.</summary>
    public long? MemoryBudget { get; init; }

    /// <summary>What calls do that need the remote while it does not answer. Default: <see cref="OutageBehavior.Wait"/>.</summary>
    public OutageBehavior OnOutage { get; init; } = OutageBehavior.Wait;

    /// <summary>The time that such a call waits. From 10 ms to a day. Default: 30 s.</summary>
    public TimeSpan OutageTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The time after which a request that was not answered has failed; a second more for each 64 KiB of it. From 10 ms to a day.
    /// Default: 30 s.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The time after which a close gives up and says what is left, when nothing of that has reached the remote meanwhile; as long as it gets
    /// on, it goes on. From 10 ms to a day. Default: 60 s.</summary>
    public TimeSpan CloseTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Whether the remote's exclusive lease is taken. Default: <see cref="LeaseUse.WhenOffered"/>.</summary>
    public LeaseUse Lease { get; init; } = LeaseUse.WhenOffered;

    /// <summary>Who takes the lease, in words for the next who asks for it. Default: the machine's name and the process.</summary>
    public string LeaseHolder { get; init; } = $"process {Environment.ProcessId} on {Environment.MachineName}";

    /// <summary>What happens to bytes of the cache directory that were not pushed, where the remote's lease tells that others could write since.
    /// Default: <see cref="ConflictPolicy.Refuse"/>.</summary>
    public ConflictPolicy OnConflict { get; init; } = ConflictPolicy.Refuse;

    /// <summary>What the owner wants to be told. Default: nothing.</summary>
    public ManagedMountHooks Hooks { get; init; } = new();

    /// <summary>Is given the mount's state as it pulls and pushes, at most five times a second. Default: nobody.</summary>
    public IProgress<ManagedMountStatus>? Progress { get; init; }

    /// <summary>Where the mount's counters and gauges are made (<c>farspan.mount.*</c>). Default: null, nowhere.</summary>
    public Meter? Meter { get; init; }

    /// <summary>The clock. Default: the system's.</summary>
    public TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <summary>Where the draws begin that spread retries. Default: 0.</summary>
    public int Seed { get; init; }

    /// <summary>Makes the memory of a cache in memory that has a limit, of so many bytes, which are used from the first on. Null for the usual memory.</summary>
    internal Func<long, IBackend>? OpenCacheMemory { get; init; }

    internal long Budget => MemoryBudget ?? Math.Max(64L << 20, 4L * ChunkSize);

    internal long HardLimit => Math.Min(DirtyHardLimit, CacheSizeLimit is { } limit ? Math.Max(limit / 2, ChunkSize) : long.MaxValue);

    internal long SoftLimit => Math.Min(DirtySoftLimit, Math.Max(ChunkSize, HardLimit / 2));

    /// <summary>Throws when a value is out of its bounds.</summary>
    /// <exception cref="ArgumentException">One is; the message names it.</exception>
    internal void Validate()
    {
        ChunkLayout.CheckChunkSize(ChunkSize);
        AtLeast(ChunkSize, 4096, nameof(ChunkSize));
        AtLeast(CacheSizeLimit ?? long.MaxValue, 16L * ChunkSize, nameof(CacheSizeLimit));
        AtLeast(PullWorkers ?? 1, 1, nameof(PullWorkers));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(PullWorkers ?? 1, 65_536, nameof(PullWorkers));
        AtLeast(DirtySoftLimit, ChunkSize, nameof(DirtySoftLimit));
        AtLeast(DirtyHardLimit, DirtySoftLimit, nameof(DirtyHardLimit));
        AtLeast(MemoryBudget ?? long.MaxValue, Math.Max(1 << 20, 4L * ChunkSize), nameof(MemoryBudget));
        foreach (var (time, name) in new[]
        {
            (PushInterval, nameof(PushInterval)), (OutageTimeout, nameof(OutageTimeout)), (RequestTimeout, nameof(RequestTimeout)),
            (CloseTimeout, nameof(CloseTimeout)),
        })
        {
            if (time < TimeSpan.FromMilliseconds(10) || time > TimeSpan.FromDays(1))
                throw new ArgumentOutOfRangeException(name, time, $"{name} is from 10 ms to a day.");
        }

        ArgumentException.ThrowIfNullOrEmpty(LeaseHolder);
        ArgumentNullException.ThrowIfNull(PullOrder);
        ArgumentNullException.ThrowIfNull(Hooks);
        ArgumentNullException.ThrowIfNull(Clock);
        if (CacheDirectory is not null && string.IsNullOrEmpty(RemoteName))
            throw new ArgumentException("A cache directory needs the remote's name.", nameof(RemoteName));
        if (CacheDirectory is null && (Flush == FlushMode.Local || OnOutage == OutageBehavior.ServeLocal))
            throw new ArgumentException("A flush that is durable locally needs a cache directory.", nameof(CacheDirectory));
    }

    private static void AtLeast(long value, long least, string name)
    {
        if (value < least)
            throw new ArgumentOutOfRangeException(name, value, $"{name} is at least {least}.");
    }
}
