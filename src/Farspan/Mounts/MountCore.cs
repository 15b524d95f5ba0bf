using System.Buffers;
using Farspan.Backends;
using Farspan.Checksums;
using Farspan.Chunks;
using Farspan.Mounts.Caching;
using Farspan.Mounts.Remotes;
using Farspan.Waiting;

namespace Farspan.Mounts;

/// <summary>What the parts of one managed mount share.</summary>
/// <remarks>
/// Two kinds of locks. The gate guards what is known of chunks and is held for moments, never over an await. Holds on chunks order what
/// touches cached bytes: writes, installs of pulled bytes, evictions and zeroes are exclusive, reads and pushes that copy are shared. Nobody
/// waits for the remote under a hold.
/// </remarks>
internal sealed class MountCore
{
    public MountCore(IBackend remote, IChunkCache cache, ManagedMountOptions options)
    {
        Options = options;
        Cache = cache;
        Layout = new ChunkLayout(remote.Length, options.ChunkSize);
        Map = new ChunkMap(Layout);
        Outage = new OutageMonitor(options, Tasks, Closed.Token);
        Remote = new RemoteLine(remote, Outage, options, Closed.Token);
        if (remote.IsReadOnly)
            Ready.Set();
        Unproven = new Unproven(this);
        byte[] probe = new byte[Math.Min(1, remote.Length)];
        Outage.Probe = () => Remote.ReadAsync(0, probe);
    }

    public ManagedMountOptions Options { get; }

    public TimeProvider Clock => Options.Clock;

    public ChunkLayout Layout { get; }

    public IChunkCache Cache { get; }

    /// <summary>Guarded by <see cref="Gate"/>.</summary>
    public ChunkMap Map { get; }

    public Lock Gate { get; } = new();

    /// <summary>Recovered chunks that need proof before they are used.</summary>
    public Unproven Unproven { get; }

    public ChunkRangeLock Locks { get; } = new();

    /// <summary>Everything that runs without its caller waiting.</summary>
    public RunningTasks Tasks { get; } = new();

    public OutageMonitor Outage { get; }

    public RemoteLine Remote { get; }

    /// <summary>
    /// Set after the first flush of the remote. Nothing is pulled before: what an earlier mount sent, and no flush covered, could be read here
    /// and be lost there.
    /// </summary>
    public Signal Ready { get; } = new();

    /// <summary>Ends the loops.</summary>
    public CancellationTokenSource Closing { get; } = new();

    /// <summary>Ends calls to the remote.</summary>
    public CancellationTokenSource Closed { get; } = new();

    /// <summary>The number of the last write; guarded by <see cref="Gate"/>.</summary>
    public long LastWrite { get; set; }

    /// <summary>The last failure that no caller was given.</summary>
    public Exception? LastError { get; private set; }

    /// <summary>Whether the lease was lost.</summary>
    public bool IsFenced { get; set; }

    public void Report(Exception error) => LastError = error;

    public static BackendException Fenced() => new(
        BackendError.Fenced, "Another writer has taken over the remote: this mount writes no more, and keeps what is dirty in its cache.");

    /// <summary>Bytes of a run of chunks.</summary>
    public long BytesOf(long firstChunk, long count)
        => Math.Min(Layout.Length, (firstChunk + count) * Layout.ChunkSize) - Layout.OffsetOf(firstChunk);

    /// <summary>Tells a durable cache that a chunk is clean, if it still is, with the checksum of what it holds.</summary>
    public async Task NoteCleanAsync(long chunkIndex)
    {
        if (!Cache.IsDurable)
            return;
        var hold = await Locks.AcquireAsync(chunkIndex, chunkIndex, exclusive: true, CancellationToken.None);
        try
        {
            bool isClean;
            lock (Gate)
                isClean = Map.IsWhole(chunkIndex) && Map.Find(chunkIndex) is null;
            if (isClean)
                Cache.NoteClean(chunkIndex, await ChecksumAsync(chunkIndex));
        }
        finally
        {
            Locks.Release(hold);
        }
    }

    /// <summary>The CRC-32C of a chunk's cached bytes. The caller holds the chunk.</summary>
    public async ValueTask<uint> ChecksumAsync(long chunkIndex)
    {
        int length = Layout.LengthOf(chunkIndex);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            await Cache.ReadAsync(Layout.OffsetOf(chunkIndex), buffer.AsMemory(0, length), CancellationToken.None);
            return Crc32C.Compute(buffer.AsSpan(0, length));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Gives up a clean chunk: it is missing again. The caller holds it exclusively, and has asked under the gate whether it may go.</summary>
    public async ValueTask DiscardAsync(long chunkIndex)
    {
        lock (Gate)
            Map.SetMissing(chunkIndex);
        Unproven.Forget(chunkIndex, 1);
        await Cache.DiscardAsync(chunkIndex, 1, CancellationToken.None);
    }
}
