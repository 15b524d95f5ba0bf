using System.Numerics;
using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Waiting;

namespace Farspan.Linux.Userfaults;

/// <summary>What the parts of a region's service share.</summary>
internal sealed class RegionCore
{
    private const int BatchLength = 1 << 20;
    private const int BufferBytes = 16 << 20;

    private long _heldChunks;

    public RegionCore(RegionMemory memory, IBackend backend, RegionOptions options)
    {
        Memory = memory;
        Backend = backend;
        Lender = backend.GetCapability<IMemoryLender>();
        Options = options;
        Layout = new ChunkLayout(backend.Length, options.ChunkSize);
        Table = new ChunkTable(Layout);
        Waiters = new ChunkWaiters(Table);
        bool moves = options is { MovesHugePages: true, ResidentLimit: null, ChunkSize: <= HugePage.Length } && memory.CanMoveIn;
        Huge = moves && Lender is not null ? new HugeFiller(memory, Lender) : null;
        LimitChunks = options.ResidentLimit is { } limit ? Math.Max(1, limit / options.ChunkSize) : long.MaxValue;

        // A small limit is not to be filled by one batch.
        BatchChunks = (long)BitOperations.RoundUpToPowerOf2((ulong)Math.Max(1, Math.Min((Huge is null ? BatchLength : HugePage.Length) / options.ChunkSize, LimitChunks / 8)));
        int length = (int)(BatchChunks * options.ChunkSize);
        Buffers = new FillBuffers(Math.Clamp(BufferBytes / length, 4, 64), length);
    }

    public RegionMemory Memory { get; }

    public IBackend Backend { get; }

    /// <summary>Lends the backend's bytes where they lie, or null.</summary>
    public IMemoryLender? Lender { get; }

    /// <summary>
    /// Fills batches by huge pages, or null. Not with a resident limit: what is dropped of a huge page is kept as long as any of it is used.
    /// </summary>
    public HugeFiller? Huge { get; }

    public RegionOptions Options { get; }

    public ChunkLayout Layout { get; }

    public ChunkTable Table { get; }

    public ChunkWaiters Waiters { get; }

    public FillBuffers Buffers { get; }

    /// <summary>Everything that runs without its caller waiting.</summary>
    public RunningTasks Tasks { get; } = new();

    /// <summary>Ends what waits for the backend.</summary>
    public CancellationTokenSource Stopping { get; } = new();

    /// <summary>Chunks that may be in memory at one time.</summary>
    public long LimitChunks { get; }

    /// <summary>Chunks that are brought or saved in one go.</summary>
    public long BatchChunks { get; }

    public RegionCounters Counters { get; } = new();

    /// <summary>Chunks that somebody holds.</summary>
    public long HeldChunks => Volatile.Read(ref _heldChunks);

    /// <summary>Bytes of a run of chunks in memory: whole pages.</summary>
    public long PagesOf(long first, long count) => Math.Min(Memory.Length, (first + count) * Layout.ChunkSize) - Layout.OffsetOf(first);

    /// <summary>Bytes of a run of chunks at the backend, whose last page may be short.</summary>
    public long BytesOf(long first, long count) => Math.Min(Layout.Length, (first + count) * Layout.ChunkSize) - Layout.OffsetOf(first);

    /// <summary>Claims absent chunks beside each other, for the caller to bring.</summary>
    /// <returns>How many, at most <paramref name="count"/>.</returns>
    public long Claim(long first, long count)
    {
        long claimed = 0;
        while (claimed < count && Table.TryMove(first + claimed, ChunkState.Absent, ChunkState.Filling))
            claimed++;
        return claimed;
    }

    /// <summary>Ends what was done to a chunk, and tells all who wait for that.</summary>
    public void Finish(long index, ChunkState state, uint marks = 0, Exception? failure = null)
    {
        uint word = Table.Finish(index, state, marks);
        Waiters.End(index, word, failure);

        // Filling has woken who waited for that; others try again, and are told of anew.
        if ((word & ChunkTable.Faulted) != 0 && (state != ChunkState.Present || ChunkTable.StateOf(word) != ChunkState.Filling))
            Memory.Wake(Layout.OffsetOf(index), PagesOf(index, 1));
    }

    public bool TryHold(long index, uint marks)
    {
        if (!Table.TryHold(index, marks, out bool isFirst))
            return false;
        if (isFirst)
            Interlocked.Increment(ref _heldChunks);
        return true;
    }

    public void Release(long index)
    {
        if (Table.Release(index))
            Interlocked.Decrement(ref _heldChunks);
    }
}
