using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Mounts.Caching;

namespace Farspan.Tests.Mounts;

/// <summary>A cache that says it is durable, recovers what a test wants, and counts what the mount does for that.</summary>
internal sealed class ObservedCache(ChunkLayout layout) : IChunkCache
{
    private readonly MemoryChunkCache _bytes = new(layout);
    private readonly Lock _gate = new();
    private readonly Dictionary<long, RangeSet> _noted = [];
    private long _notes;
    private long _flushedNotes;

    public long Length => layout.Length;

    public int ChunkSize => layout.ChunkSize;

    public bool IsDurable => true;

    public CacheLease Lease => _bytes.Lease;

    public IEnumerable<RecoveredChunk> Recovered { get; init; } = [];

    public IEnumerable<(long FirstChunk, long Count)> RecoveredZeroes => [];

    /// <summary>Chunks noted as clean, with their checksums, in turn.</summary>
    public List<(long Index, uint Checksum)> Clean { get; } = [];

    /// <summary>So many writes fail, after half of each was done.</summary>
    public int FailingWrites { get; set; }

    /// <summary>Flushes that have begun.</summary>
    public int FlushCount { get; private set; }

    /// <summary>Whether a flush that has completed began after the last note that takes something away.</summary>
    public bool IsFlushed
    {
        get
        {
            lock (_gate)
                return _flushedNotes == _notes;
        }
    }

    /// <summary>Whether these bytes of a chunk were noted as dirty.</summary>
    public bool IsNoted(long chunkIndex, int start, int end)
    {
        lock (_gate)
            return _noted.TryGetValue(chunkIndex, out var ranges) && ranges.Covers(start, end);
    }

    public ValueTask KeepLeaseAsync(CacheLease lease) => _bytes.KeepLeaseAsync(lease);

    public ValueTask ForgetCleanAsync() => default;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        => _bytes.ReadAsync(offset, buffer, cancellationToken);

    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        bool fails = FailingWrites > 0;
        await _bytes.WriteAsync(offset, fails ? buffer[..(buffer.Length / 2)] : buffer, cancellationToken);
        if (!fails)
            return;
        FailingWrites--;
        throw new BackendException(BackendError.InputOutput, "The cache failed.");
    }

    public ValueTask NoteDirtyAsync(long chunkIndex, int start, int length, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            _notes++;
            if (!_noted.TryGetValue(chunkIndex, out var ranges))
                _noted[chunkIndex] = ranges = new RangeSet();
            ranges.Add(start, start + length);
        }

        return default;
    }

    public void NoteClean(long chunkIndex, uint checksum)
    {
        lock (_gate)
        {
            _noted.Remove(chunkIndex);
            Clean.Add((chunkIndex, checksum));
        }
    }

    public void NoteWhole(long chunkIndex)
    {
    }

    public ValueTask NoteZeroAsync(long firstChunk, long count, CancellationToken cancellationToken)
    {
        lock (_gate)
            _notes++;
        return default;
    }

    public ValueTask DiscardAsync(long firstChunk, long count, CancellationToken cancellationToken) => default;

    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        long notes;
        lock (_gate)
        {
            FlushCount++;
            notes = _notes;
        }

        await Task.Yield();
        lock (_gate)
            _flushedNotes = Math.Max(_flushedNotes, notes);
    }

    public ValueTask DisposeAsync() => _bytes.DisposeAsync();
}
