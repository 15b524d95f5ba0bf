using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Mounts.Caching;

/// <summary>A cache in memory: nothing of it outlives the mount. Thread-safe.</summary>
/// <remarks>
/// Without a limit a byte lies where it lies in the region, and what was never cached takes no memory. With a limit chunks share slots, so
/// that a small cache serves a large region without memory for the holes between its chunks.
/// </remarks>
internal sealed class MemoryChunkCache : IChunkCache
{
    private readonly Lock _gate = new();
    private readonly ChunkLayout _layout;
    private readonly MemoryBackend? _whole;
    private readonly IBackend _bytes;
    private readonly Dictionary<long, long>? _slots;
    private readonly Stack<long> _free = new();
    private long _slotCount;

    /// <summary>Creates an empty cache.</summary>
    /// <param name="layout">The region and its chunks.</param>
    /// <param name="sizeLimit">Bytes that the mount means to keep here, or null for no limit.</param>
    /// <param name="openSlots">Makes the memory, of so many bytes, that slots are taken of, one after another; null for the usual memory.</param>
    public MemoryChunkCache(ChunkLayout layout, long? sizeLimit = null, Func<long, IBackend>? openSlots = null)
    {
        _layout = layout;
        if (sizeLimit < layout.Length)
        {
            long length = layout.ChunkCount * layout.ChunkSize;
            _slots = [];
            _bytes = openSlots?.Invoke(length) ?? new MemoryBackend(length);
        }
        else
        {
            _bytes = _whole = new MemoryBackend(layout.Length);
        }
    }

    /// <inheritdoc/>
    public long Length => _layout.Length;

    /// <inheritdoc/>
    public int ChunkSize => _layout.ChunkSize;

    /// <inheritdoc/>
    public bool IsDurable => false;

    /// <inheritdoc/>
    public CacheLease Lease { get; private set; } = CacheLease.CreateNew();

    /// <inheritdoc/>
    public IEnumerable<RecoveredChunk> Recovered => [];

    /// <inheritdoc/>
    public IEnumerable<(long FirstChunk, long Count)> RecoveredZeroes => [];

    /// <inheritdoc/>
    public ValueTask KeepLeaseAsync(CacheLease lease)
    {
        Lease = lease;
        return default;
    }

    /// <inheritdoc/>
    public ValueTask ForgetCleanAsync() => default;

    /// <summary>Lends cached bytes where they lie; not those in slots, which may be given to another chunk.</summary>
    public bool TryLend(long offset, int length, out LentMemory lent)
    {
        lent = default;
        return _whole is not null && _whole.TryLend(offset, length, out lent);
    }

    /// <inheritdoc/>
    public ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_slots is null)
            return _bytes.ReadAsync(offset, buffer, cancellationToken);
        while (!buffer.IsEmpty)
        {
            var (at, length) = Locate(offset, buffer.Length);
            var step = _bytes.ReadAsync(at, buffer[..length], cancellationToken);
            if (!step.IsCompletedSuccessfully)
                return step;
            offset += length;
            buffer = buffer[length..];
        }

        return default;
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        if (_slots is null)
            return _bytes.WriteAsync(offset, buffer, cancellationToken);
        while (!buffer.IsEmpty)
        {
            var (at, length) = Locate(offset, buffer.Length);
            var step = _bytes.WriteAsync(at, buffer[..length], cancellationToken);
            if (!step.IsCompletedSuccessfully)
                return step;
            offset += length;
            buffer = buffer[length..];
        }

        return default;
    }

    /// <inheritdoc/>
    public ValueTask NoteDirtyAsync(long chunkIndex, int start, int length, CancellationToken cancellationToken) => default;

    /// <inheritdoc/>
    public void NoteClean(long chunkIndex, uint checksum)
    {
    }

    /// <inheritdoc/>
    public void NoteWhole(long chunkIndex)
    {
    }

    /// <inheritdoc/>
    public ValueTask NoteZeroAsync(long firstChunk, long count, CancellationToken cancellationToken)
        => DiscardAsync(firstChunk, count, cancellationToken);

    /// <inheritdoc/>
    public ValueTask DiscardAsync(long firstChunk, long count, CancellationToken cancellationToken)
    {
        if (_whole is not null)
        {
            long offset = _layout.OffsetOf(firstChunk);
            return _whole.TrimAsync(offset, _layout.AlignUp(offset + (count * ChunkSize)) - offset, cancellationToken);
        }

        lock (_gate)
        {
            if (count > _slots!.Count)
            {
                foreach (long index in _slots.Keys.Where(index => index >= firstChunk && index < firstChunk + count).ToArray())
                    Free(index);
            }
            else
            {
                for (long index = firstChunk; index < firstChunk + count; index++)
                    Free(index);
            }
        }

        return default;
    }

    /// <inheritdoc/>
    public ValueTask FlushAsync(CancellationToken cancellationToken) => default;

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _bytes.DisposeAsync();

    private void Free(long index)
    {
        if (_slots!.Remove(index, out long slot))
            _free.Push(slot);
    }

    private (long At, int Length) Locate(long offset, int length)
    {
        long index = _layout.IndexOf(offset);
        int within = (int)(offset - _layout.OffsetOf(index));
        lock (_gate)
        {
            if (!_slots!.TryGetValue(index, out long slot))
            {
                if (!_free.TryPop(out slot))
                    slot = _slotCount++;
                _slots.Add(index, slot);
            }

            return ((slot * ChunkSize) + within, Math.Min(length, ChunkSize - within));
        }
    }
}
