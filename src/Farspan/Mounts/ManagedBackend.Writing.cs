using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Mounts;

/// <content>Writes, trims and zeroes, under holds on their chunks.</content>
public sealed partial class ManagedBackend
{
    private const int LongestZeroWrite = 1 << 20;
    private static readonly byte[] Zeroes = new byte[LongestZeroWrite];

    /// <summary>Whether zeroes are as cheap at the remote as they are here.</summary>
    public bool CanZeroFast => _mount.Remote.CanZeroFast;

    /// <inheritdoc/>
    /// <remarks>Whole chunks read as zero afterwards; parts of chunks keep their bytes.</remarks>
    public async ValueTask TrimAsync(long offset, long length, CancellationToken cancellationToken = default)
    {
        CheckChange(offset, length, cancellationToken);
        var (firstChunk, count) = WholeChunks(offset, length);
        if (count > 0)
            await SetZeroAsync(firstChunk, count, _mount.Remote.CanZero ? ZeroKind.Zero : ZeroKind.Trim, cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask ZeroAsync(long offset, long length, ZeroMode mode = ZeroMode.None, CancellationToken cancellationToken = default)
    {
        CheckChange(offset, length, cancellationToken);
        if (mode.HasFlag(ZeroMode.FastOnly) && !CanZeroFast)
            throw new BackendException(BackendError.NotSupported, "The remote has no fast way to zero bytes.");
        var (firstChunk, count) = WholeChunks(offset, length);
        if (count <= 0)
        {
            await WriteZeroesAsync(offset, length, cancellationToken);
            return;
        }

        long start = _mount.Layout.OffsetOf(firstChunk);
        long end = start + _mount.BytesOf(firstChunk, count);
        await WriteZeroesAsync(offset, start - offset, cancellationToken);
        await SetZeroAsync(firstChunk, count, mode.HasFlag(ZeroMode.KeepAllocated) ? ZeroKind.ZeroAllocated : ZeroKind.Zero, cancellationToken);
        await WriteZeroesAsync(end, offset + length - end, cancellationToken);
    }

    private (long FirstChunk, long Count) WholeChunks(long offset, long length)
    {
        long first = _mount.Layout.IndexOf(offset + _mount.Layout.ChunkSize - 1);
        long end = offset + length == Length ? _mount.Layout.ChunkCount : _mount.Layout.IndexOf(offset + length);
        return (first, length == 0 ? 0 : end - first);
    }

    private async ValueTask WriteZeroesAsync(long offset, long length, CancellationToken cancellationToken)
    {
        for (long at = 0; at < length; at += LongestZeroWrite)
            await WriteAsync(offset + at, Zeroes.AsMemory(0, (int)Math.Min(LongestZeroWrite, length - at)), cancellationToken);
    }

    private async ValueTask SetZeroAsync(long firstChunk, long count, ZeroKind kind, CancellationToken cancellationToken)
    {
        await _pusher.AdmitAsync(0, cancellationToken);
        var hold = await _mount.Locks.AcquireAsync(firstChunk, firstChunk + count - 1, exclusive: true, cancellationToken);
        try
        {
            await _mount.Cache.NoteZeroAsync(firstChunk, count, CancellationToken.None);
            _mount.Unproven.Forget(firstChunk, count);
            lock (_mount.Gate)
            {
                long replaced = _mount.Map.SetZero(firstChunk, count);
                _mount.Map.Zeroes.Add(firstChunk, count, kind, Math.Min(replaced, ++_mount.LastWrite));
            }
        }
        finally
        {
            _mount.Locks.Release(hold);
        }
    }

    /// <summary>Writes to chunks that are held exclusively: notes first, then the bytes, then the map.</summary>
    private async ValueTask WriteHeldAsync(long offset, ReadOnlyMemory<byte> buffer, long firstChunk, long lastChunk)
    {
        // A chunk that waits for proof is written over: what is left of it still needs proof first, or is pulled.
        if (_mount.Unproven.IsAny)
            await _mount.Unproven.ProveHeldAsync(firstChunk, lastChunk);
        for (long index = firstChunk; index <= lastChunk; index++)
            await PrepareAsync(index, Inside(index, offset, buffer.Length));
        try
        {
            await _mount.Cache.WriteAsync(offset, buffer, CancellationToken.None);
        }
        catch (BackendException)
        {
            // Where a chunk is whole, some of it may be new now, which the remote then gets; elsewhere the remote's bytes still count.
            Commit(offset, buffer.Length, firstChunk, lastChunk, wholeOnly: true);
            throw;
        }

        Commit(offset, buffer.Length, firstChunk, lastChunk, wholeOnly: false);
    }

    private async ValueTask PrepareAsync(long chunkIndex, (int Start, int End) range)
    {
        bool isZero;
        lock (_mount.Gate)
            isZero = _mount.Map.IsZero(chunkIndex);
        if (!isZero)
        {
            // Each time: the map joins ranges, and only the cache knows which bytes exactly are noted.
            await _mount.Cache.NoteDirtyAsync(chunkIndex, range.Start, range.End - range.Start, CancellationToken.None);
            return;
        }

        int length = _mount.Layout.LengthOf(chunkIndex);
        await _mount.Cache.NoteDirtyAsync(chunkIndex, 0, length, CancellationToken.None);
        await FillAsync(chunkIndex, 0, range.Start);
        await FillAsync(chunkIndex, range.End, length);
    }

    private async ValueTask FillAsync(long chunkIndex, int start, int end)
    {
        for (int at = start; at < end; at += LongestZeroWrite)
        {
            await _mount.Cache.WriteAsync(
                _mount.Layout.OffsetOf(chunkIndex) + at, Zeroes.AsMemory(0, Math.Min(LongestZeroWrite, end - at)), CancellationToken.None);
        }
    }

    private void Commit(long offset, int length, long firstChunk, long lastChunk, bool wholeOnly)
    {
        long now = _mount.Clock.GetTimestamp();
        for (long index = firstChunk; index <= lastChunk; index++)
        {
            var (start, end) = Inside(index, offset, length);
            bool becameWhole = false;
            lock (_mount.Gate)
            {
                if (wholeOnly && !_mount.Map.IsWhole(index))
                    continue;
                _mount.LastWrite++;
                long? replaced = null;
                if (_mount.Map.IsZero(index))
                {
                    becameWhole = true;
                    replaced = _mount.Map.EndZero(index);
                    if (replaced is not null)
                        (start, end) = (0, _mount.Layout.LengthOf(index));
                }

                becameWhole |= _mount.Map.SetDirty(index, start, end, _mount.LastWrite, now);
                if (replaced is { } from)
                    _mount.Map.TakeOver(index, from);
            }

            if (becameWhole)
                _mount.Cache.NoteWhole(index);
        }

        if (_evictor.HasLimit)
            _evictor.Touch(firstChunk, lastChunk - firstChunk + 1);
    }

    private (int Start, int End) Inside(long chunkIndex, long offset, int length)
    {
        long start = _mount.Layout.OffsetOf(chunkIndex);
        return ((int)Math.Max(0, offset - start), (int)Math.Min(_mount.Layout.LengthOf(chunkIndex), offset + length - start));
    }
}
