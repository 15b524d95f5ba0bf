using Farspan.Chunks;

namespace Farspan.Mounts.Pulling;

/// <summary>
/// Keeps the cache under its limit: clean chunks that were not used lately make room. A hand goes around the chunks; one that was read since it
/// last came by gets another turn. Thread-safe.
/// </summary>
internal sealed class Evictor
{
    private readonly MountCore _mount;
    private readonly long? _mostChunks;
    private readonly ChunkBitmap? _used;
    private readonly Dictionary<long, int> _pins = [];
    private long _hand;

    public Evictor(MountCore mount)
    {
        _mount = mount;
        if (mount.Options.CacheSizeLimit is not { } limit || limit >= mount.Layout.Length)
            return;
        _mostChunks = limit / mount.Layout.ChunkSize;
        _used = new ChunkBitmap(mount.Layout.ChunkCount);
    }

    /// <summary>Is told when nothing can make room before it was pushed.</summary>
    public Action? IsStuck { get; set; }

    /// <summary>Whether there is a limit at all.</summary>
    public bool HasLimit => _mostChunks is not null;

    /// <summary>Whether chunks fit without any having to go. Under the mount's gate.</summary>
    public bool Fits(long count) => _mostChunks is not { } most || Used + count <= most;

    /// <summary>Chunks are read or written.</summary>
    public void Touch(long firstChunk, long count) => _used?.Set(firstChunk, count);

    /// <summary>Keeps a chunk here, once it is, until it is unpinned as often.</summary>
    public void Pin(long chunkIndex)
    {
        if (!HasLimit)
            return;
        lock (_mount.Gate)
            _pins[chunkIndex] = _pins.GetValueOrDefault(chunkIndex) + 1;
    }

    public void Unpin(long chunkIndex)
    {
        if (!HasLimit)
            return;
        lock (_mount.Gate)
        {
            if (--_pins[chunkIndex] == 0)
                _pins.Remove(chunkIndex);
        }
    }

    /// <summary>Makes room for chunks, as far as clean ones are there to go. The caller holds no chunk.</summary>
    public async ValueTask MakeRoomAsync(long count)
    {
        while (true)
        {
            long victim;
            lock (_mount.Gate)
            {
                if (Fits(count))
                    return;
                victim = FindVictim();
            }

            if (victim < 0)
            {
                IsStuck?.Invoke();
                return;
            }

            await EvictAsync(victim);
        }
    }

    private long Used => _mount.Map.WholeCount + _mount.Map.PartialCount;

    private async ValueTask EvictAsync(long chunkIndex)
    {
        var hold = await _mount.Locks.AcquireAsync(chunkIndex, chunkIndex, exclusive: true, CancellationToken.None);
        try
        {
            bool mayGo;
            lock (_mount.Gate)
                mayGo = MayGo(chunkIndex);
            if (mayGo)
                await _mount.DiscardAsync(chunkIndex);
        }
        finally
        {
            _mount.Locks.Release(hold);
        }
    }

    private bool MayGo(long chunkIndex)
        => _mount.Map.IsWhole(chunkIndex) && _mount.Map.Find(chunkIndex) is null && !_pins.ContainsKey(chunkIndex);

    private long FindVictim()
    {
        // Twice around: the first time every chunk may have been used.
        for (int wraps = 0; wraps < 3;)
        {
            long index = _mount.Map.NextWhole(_hand);
            if (index < 0)
            {
                _hand = 0;
                wraps++;
                continue;
            }

            _hand = index + 1;
            if (!MayGo(index))
                continue;
            if (!_used![index])
                return index;
            _used.Clear(index);
        }

        return -1;
    }
}
