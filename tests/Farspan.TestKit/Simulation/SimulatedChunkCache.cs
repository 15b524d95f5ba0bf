using Farspan.Chunks;
using Farspan.Mounts.Caching;

namespace Farspan.TestKit.Simulation;

/// <summary>
/// A durable cache as its contract allows it to be: calls take time or none, notes that add are kept back until something else is noted or
/// flushed, and are lost when the process is killed; a range of a chunk that is not whole is dirty only once its bytes are written. Complains
/// about calls that the mount must not make. One thread.
/// </summary>
internal sealed class SimulatedChunkCache : IChunkCache
{
    private readonly SimulatedCacheDisk _disk;
    private readonly TimeProvider _clock;
    private readonly Random _random;
    private readonly Dictionary<long, uint?> _late = [];
    private readonly Dictionary<long, RangeSet> _intents = [];
    private readonly HashSet<long> _busy = [];

    public SimulatedChunkCache(SimulatedCacheDisk disk, TimeProvider clock, Random random)
    {
        _disk = disk;
        _clock = clock;
        _random = random;
    }

    public long Length => _disk.Layout.Length;

    public int ChunkSize => _disk.Layout.ChunkSize;

    public bool IsDurable => true;

    public CacheLease Lease => _disk.Lease;

    public IEnumerable<RecoveredChunk> Recovered => [.. Recover()];

    /// <summary>What a program does when it opens the cache: what was written of a chunk that is still zero does not count.</summary>
    public void Open()
    {
        foreach (long index in _disk.Zero)
            _disk.Dirty.Remove(index);
    }

    public IEnumerable<(long FirstChunk, long Count)> RecoveredZeroes => [.. _disk.Zero.Order().Select(index => (index, 1L))];

    public async ValueTask KeepLeaseAsync(CacheLease lease)
    {
        await PauseAsync();
        _disk.Lease = lease;
    }

    public async ValueTask ForgetCleanAsync()
    {
        await PauseAsync();
        foreach (long index in _disk.Clean.Keys.ToArray())
            Drop(index);
        _disk.Whole.RemoveWhere(index => !_disk.Dirty[index].Covers(0, _disk.Layout.LengthOf(index)));
    }

    public async ValueTask ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        await PauseAsync();
        _disk.Bytes.AsSpan((int)offset, buffer.Length).CopyTo(buffer.Span);
    }

    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken)
    {
        int half = _random.Next(buffer.Length + 1);
        Put(offset, buffer.Span[..half]);
        await PauseAsync();
        Put(offset + half, buffer.Span[half..]);
    }

    public async ValueTask NoteDirtyAsync(long chunkIndex, int start, int length, CancellationToken cancellationToken)
    {
        using var turn = Begin(chunkIndex, 1);
        await PauseAsync();
        Settle(chunkIndex);
        if (_disk.Clean.Remove(chunkIndex) || _disk.Whole.Contains(chunkIndex))
        {
            _disk.Whole.Add(chunkIndex);
            AddDirty(_disk.Dirty, chunkIndex, start, start + length);
        }
        else
        {
            AddDirty(_intents, chunkIndex, start, start + length);
        }
    }

    public void NoteClean(long chunkIndex, uint checksum)
    {
        using var turn = Begin(chunkIndex, 1);
        _late[chunkIndex] = checksum;
    }

    public void NoteWhole(long chunkIndex)
    {
        using var turn = Begin(chunkIndex, 1);
        if (!_disk.Dirty.ContainsKey(chunkIndex))
            throw new InvalidOperationException($"Chunk {chunkIndex} is noted as whole and was never dirty.");
        _late.TryAdd(chunkIndex, null);
    }

    public async ValueTask NoteZeroAsync(long firstChunk, long count, CancellationToken cancellationToken)
    {
        using var turn = Begin(firstChunk, count);
        await PauseAsync();
        for (long index = firstChunk; index < firstChunk + count; index++)
        {
            Drop(index);
            _disk.Zero.Add(index);
        }
    }

    public async ValueTask DiscardAsync(long firstChunk, long count, CancellationToken cancellationToken)
    {
        using var turn = Begin(firstChunk, count);
        await PauseAsync();
        for (long index = firstChunk; index < firstChunk + count; index++)
            Drop(index);
    }

    public async ValueTask FlushAsync(CancellationToken cancellationToken)
    {
        await PauseAsync();
        foreach (long index in _late.Keys.ToArray())
            Settle(index);
    }

    public async ValueTask DisposeAsync() => await FlushAsync(CancellationToken.None);

    private IEnumerable<RecoveredChunk> Recover()
    {
        foreach (long index in _disk.Clean.Keys.Concat(_disk.Dirty.Keys).Except(_disk.Zero).Order().ToArray())
        {
            if (_disk.Clean.TryGetValue(index, out uint checksum))
                yield return new RecoveredChunk(index, IsWhole: true, [], _disk.NeedsProof ? checksum : null);
            else
                yield return new RecoveredChunk(index, _disk.Whole.Contains(index), [.. _disk.Dirty[index].Ranges.ToArray().Select(range => (range.Start, range.End - range.Start))], null);
        }
    }

    private void Put(long offset, ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(_disk.Bytes.AsSpan((int)offset));
        for (long index = _disk.Layout.IndexOf(offset); !bytes.IsEmpty && index <= _disk.Layout.IndexOf(offset + bytes.Length - 1); index++)
        {
            if (!_intents.TryGetValue(index, out var intended))
                continue;
            long start = offset - _disk.Layout.OffsetOf(index);
            var written = intended.Intersect((int)Math.Max(0, start), (int)Math.Min(ChunkSize, start + bytes.Length));
            foreach (var range in written.Ranges)
                AddDirty(_disk.Dirty, index, range.Start, range.End);
            intended.Remove(written);
            if (_disk.Dirty.TryGetValue(index, out var dirty) && dirty.Covers(0, _disk.Layout.LengthOf(index)))
                EndZero(index);
        }
    }

    /// <summary>A chunk that was zero stays so until all of it has been written.</summary>
    private void EndZero(long index)
    {
        _disk.Zero.Remove(index);
        _disk.Whole.Add(index);
    }

    private void Drop(long index)
    {
        _late.Remove(index);
        _intents.Remove(index);
        _disk.Forget(index);

        // The space is given back: whoever reads it without having written it gets anything.
        int start = (int)_disk.Layout.OffsetOf(index);
        _disk.Bytes.AsSpan(start, _disk.Layout.LengthOf(index)).Fill(0xDD);
    }

    private void Settle(long index)
    {
        if (!_late.Remove(index, out uint? checksum))
            return;
        if (checksum is { } clean)
        {
            _disk.Forget(index);
            _disk.Clean[index] = clean;
        }
        else
        {
            _disk.Whole.Add(index);
        }
    }

    private static void AddDirty(Dictionary<long, RangeSet> sets, long index, int start, int end)
    {
        if (!sets.TryGetValue(index, out var ranges))
            sets[index] = ranges = new RangeSet();
        ranges.Add(start, end);
    }

    private async ValueTask PauseAsync()
    {
        if (_random.Next(3) == 0)
            await Task.Delay(TimeSpan.FromMilliseconds(_random.NextDouble()), _clock);
    }

    private Turn Begin(long firstChunk, long count)
    {
        for (long index = firstChunk; index < firstChunk + count; index++)
        {
            if (!_busy.Add(index))
                throw new InvalidOperationException($"Two notes for chunk {index} at once.");
        }

        return new Turn(_busy, firstChunk, count);
    }

    private readonly struct Turn(HashSet<long> busy, long firstChunk, long count) : IDisposable
    {
        public void Dispose()
        {
            for (long index = firstChunk; index < firstChunk + count; index++)
                busy.Remove(index);
        }
    }
}
