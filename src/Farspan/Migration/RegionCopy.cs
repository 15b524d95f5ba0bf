using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Stages;

namespace Farspan.Migration;

/// <summary>
/// The local store of a leecher and what is known of its chunks: which are here, that is known to be the region's, and which have been written by
/// the program since. Thread-safe.
/// </summary>
/// <remarks>
/// The gate is held for moments, never over an await. A chunk's bytes change only under an exclusive hold on it; that a chunk is here is decided under the
/// gate, too, together with what the rules say at that moment. Of a region that is this host's, what is here stays here.
/// </remarks>
internal sealed class RegionCopy
{
    private readonly InnerBackend _local;
    private readonly ChunkBitmap _here;
    private readonly ChunkBitmap _used;
    private readonly ChunkBitmap _written;
    private ChunkBitmap _unlogged;
    private ChunkBitmap _doubtful;
    private long _missing;
    private bool _isSettled;

    private RegionCopy(IBackend local, ChunkLayout layout)
    {
        _local = new InnerBackend(local);
        Layout = layout;
        _here = new ChunkBitmap(layout.ChunkCount);
        _used = new ChunkBitmap(layout.ChunkCount);
        _written = new ChunkBitmap(layout.ChunkCount);
        _unlogged = new ChunkBitmap(layout.ChunkCount);
        _doubtful = new ChunkBitmap(layout.ChunkCount);
        _missing = layout.ChunkCount;
    }

    public Lock Gate { get; } = new();

    public ChunkLayout Layout { get; }

    public ChunkRangeLock Locks { get; } = new();

    public InnerBackend Local => _local;

    /// <summary>Chunks that are not here.</summary>
    public long MissingChunks => Volatile.Read(ref _missing);

    /// <summary>Whether all is here.</summary>
    public bool IsWhole => MissingChunks == 0;

    /// <summary>Whether nothing but the program changes chunks any more.</summary>
    public bool IsSettled => Volatile.Read(ref _isSettled);

    /// <summary>Chunks that hold something, which may be what the region has there; to be compared before bytes are asked for. Guarded by the gate.</summary>
    public ChunkBitmap Doubtful => _doubtful;

    /// <summary>Chunks that were ever written, here or by whoever had the store before.</summary>
    public ChunkBitmap Used => _used;

    /// <summary>Takes up a store, and asks it what it holds.</summary>
    public static async ValueTask<RegionCopy> OpenAsync(IBackend local, ChunkLayout layout)
    {
        var copy = new RegionCopy(local, layout);
        await copy.LookAsync();
        copy.ForgetAll();
        return copy;
    }

    public bool IsHere(long chunkIndex) => _here[chunkIndex];

    /// <summary>Whether the program, or nobody else than it, has made the chunk what it is since the hand-over.</summary>
    public bool IsWritten(long chunkIndex) => _written[chunkIndex];

    /// <summary>The first chunk from an index on that is not here; the chunk count where there is none.</summary>
    public long NextMissing(long chunkIndex) => _here.NextClear(chunkIndex);

    /// <summary>The first chunk from an index on that is here; the chunk count where there is none.</summary>
    public long NextHere(long chunkIndex) => _here.NextSet(chunkIndex) is >= 0 and var next ? next : Layout.ChunkCount;

    /// <summary>Bytes of a run of chunks.</summary>
    public long BytesOf(long firstChunk, long count)
        => count == 0 ? 0 : Math.Min(Layout.Length, (firstChunk + count) * Layout.ChunkSize) - Layout.OffsetOf(firstChunk);

    /// <summary>Nothing is known of any chunk. Under the gate.</summary>
    public void ForgetAll()
    {
        _here.TakeAll();
        _unlogged.TakeAll();
        _doubtful.TakeAll();
        for (long at = _used.NextSet(0); at >= 0; at = _used.NextSet(at))
        {
            long end = _used.NextClear(at);
            _doubtful.Set(at, end - at);
            at = end;
        }

        _missing = Layout.ChunkCount;
    }

    /// <summary>Chunks have changed at the seeder: what is here of them is old. Under the gate.</summary>
    public void Forget(IReadOnlyList<ChangedRun> runs)
    {
        foreach (var run in runs)
        {
            _missing += _here.CountOf(run.FirstChunk, run.Count);
            _here.Clear(run.FirstChunk, run.Count);
            _unlogged.Clear(run.FirstChunk, run.Count);
            _doubtful.Clear(run.FirstChunk, run.Count);
        }
    }

    /// <summary>Chunks are here, as an earlier run of this host kept for certain; perhaps the program wrote them. Under the gate.</summary>
    public void Recover(long firstChunk, long count)
    {
        _written.Set(firstChunk, count);
        SetHere(firstChunk, count);
        _unlogged.Clear(firstChunk, count);
    }

    /// <summary>Chunks are here. Under the gate.</summary>
    public void SetHere(long firstChunk, long count)
    {
        long before = _here.CountOf(firstChunk, count);
        if (before == count)
            return;
        _here.Set(firstChunk, count);
        _unlogged.Set(firstChunk, count);
        _doubtful.Clear(firstChunk, count);
        Volatile.Write(ref _missing, _missing - (count - before));
    }

    /// <summary>Everything is here, and nobody but the program changes it from now on.</summary>
    public void Settle() => Volatile.Write(ref _isSettled, true);

    /// <summary>The program is about to write to chunks that it holds.</summary>
    public void MarkWritten(long firstChunk, long count)
    {
        _written.Set(firstChunk, count);
        _used.Set(firstChunk, count);
    }

    /// <summary>Takes what has come here since the last call; what is here of it stays.</summary>
    public ChunkBitmap TakeUnlogged()
    {
        var empty = new ChunkBitmap(Layout.ChunkCount);
        lock (Gate)
            return Interlocked.Exchange(ref _unlogged, empty);
    }

    /// <summary>Gives back what could not be kept.</summary>
    public void ReturnUnlogged(ChunkBitmap taken)
    {
        lock (Gate)
        {
            foreach (long chunk in taken.SetChunks())
                _unlogged.Set(chunk);
        }
    }

    /// <summary>Puts bytes of the seeder into chunks that are not here.</summary>
    /// <param name="firstChunk">The first.</param>
    /// <param name="count">How many.</param>
    /// <param name="bytes">All of their bytes.</param>
    /// <param name="mayStore">Whether the bytes still count; asked under the gate, before and after.</param>
    /// <returns>Whether they count.</returns>
    /// <exception cref="BackendException">The store failed.</exception>
    public async ValueTask<bool> StoreAsync(long firstChunk, long count, ReadOnlyMemory<byte> bytes, Func<bool> mayStore)
    {
        var hold = await Locks.AcquireAsync(firstChunk, firstChunk + count - 1, exclusive: true, CancellationToken.None);
        try
        {
            for (long at = firstChunk, end = firstChunk + count; at < end;)
            {
                long missing = Math.Min(NextMissing(at), end);
                long until = Math.Min(NextHere(missing), end);
                if (missing == end)
                    break;
                lock (Gate)
                {
                    if (!mayStore())
                        return false;
                }

                int start = (int)(Layout.OffsetOf(missing) - Layout.OffsetOf(firstChunk));
                await WriteAsync(missing, until - missing, bytes.Slice(start, (int)BytesOf(missing, until - missing)));
                lock (Gate)
                {
                    if (!mayStore())
                        return false;
                    SetHere(missing, until - missing);
                }

                at = until;
            }

            return true;
        }
        finally
        {
            Locks.Release(hold);
        }
    }

    private async ValueTask WriteAsync(long firstChunk, long count, ReadOnlyMemory<byte> bytes)
    {
        if (!bytes.Span.ContainsAnyExcept((byte)0))
        {
            // What was never written reads as zero.
            if (!_used.Any(firstChunk, count))
                return;
            if (_local.Zero is { } zero)
            {
                await zero.ZeroAsync(Layout.OffsetOf(firstChunk), bytes.Length);
                return;
            }
        }

        _used.Set(firstChunk, count);
        await _local.Backend.WriteAsync(Layout.OffsetOf(firstChunk), bytes);
    }

    // A store that cannot say what it holds may hold anything.
    private async ValueTask LookAsync()
    {
        if (_local.Extents is not { } source)
        {
            _used.Set(0, Layout.ChunkCount);
            return;
        }

        var found = new List<Extent>();
        for (long at = 0; at < Layout.Length;)
        {
            found.Clear();
            await source.ListExtentsAsync(at, Layout.Length - at, 256, found);
            foreach (var extent in found)
            {
                at = extent.Offset + extent.Length;
                if ((extent.Kind & ExtentKind.Zero) == 0)
                    _used.Set(Layout.IndexOf(extent.Offset), Layout.IndexOf(at - 1) - Layout.IndexOf(extent.Offset) + 1);
            }
        }
    }
}
