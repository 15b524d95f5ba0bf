using System.Buffers;
using Farspan.Backends;
using Farspan.Chunks;

namespace Farspan.Mounts.Pushing;

/// <summary>Carries out one push: copies what is dirty now, and sends it.</summary>
internal sealed class PushWork(MountCore mount)
{
    private const int LongestZeroWrite = 1 << 20;
    private static readonly byte[] Zeroes = new byte[LongestZeroWrite];

    // Every write up to this number is durable in the cache; guarded by the mount's gate.
    private long _syncedUpTo;

    /// <exception cref="BackendException">The remote or the cache failed; part of it may be at the remote.</exception>
    public Task SendAsync(Push push) => push.Zero is { } zero ? SendZeroAsync(zero) : SendBytesAsync(push);

    /// <summary>
    /// Makes durable in the cache what is about to be sent, unless that was done since it was written. Else a loss of power could bring back a
    /// clean note with its old bytes, which fit the old checksum, while the remote has the new ones (docs/decisions/0070).
    /// </summary>
    private async ValueTask SyncCacheAsync(long write)
    {
        if (!mount.Cache.IsDurable)
            return;
        long upTo;
        lock (mount.Gate)
        {
            if (write <= _syncedUpTo)
                return;
            upTo = mount.LastWrite;
        }

        await mount.Cache.FlushAsync(CancellationToken.None);
        lock (mount.Gate)
            _syncedUpTo = Math.Max(_syncedUpTo, upTo);
    }

    private async Task SendBytesAsync(Push push)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent((int)mount.BytesOf(push.FirstChunk, push.Chunks.Count));
        try
        {
            var pieces = new List<(long Offset, int At, int Length)>();

            // Nothing is written to these chunks while what is dirty is taken and copied.
            long lastWrite;
            var hold = await mount.Locks.AcquireAsync(push.FirstChunk, push.LastChunk, exclusive: false, CancellationToken.None);
            try
            {
                lock (mount.Gate)
                    lastWrite = Take(push, pieces);
                foreach (var (offset, at, length) in pieces)
                    await mount.Cache.ReadAsync(offset, buffer.AsMemory(at, length), CancellationToken.None);
            }
            finally
            {
                mount.Locks.Release(hold);
            }

            await SyncCacheAsync(lastWrite);
            if (pieces.Count == 1)
            {
                await mount.Remote.WriteAsync(pieces[0].Offset, buffer.AsMemory(pieces[0].At, pieces[0].Length));
                return;
            }

            await Task.WhenAll(pieces.Select(piece => mount.Remote.WriteAsync(piece.Offset, buffer.AsMemory(piece.At, piece.Length))));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <returns>The number of the last write to what was taken.</returns>
    private long Take(Push push, List<(long Offset, int At, int Length)> pieces)
    {
        int at = 0;
        long lastWrite = 0;
        foreach (var chunk in push.Chunks)
        {
            // Made zero since it was picked: that goes by itself.
            if (mount.Map.Find(chunk.Index) != chunk || chunk.Dirty.IsEmpty)
            {
                push.Taken.Add(null);
                continue;
            }

            push.Taken.Add(mount.Map.StartSending(chunk));
            lastWrite = Math.Max(lastWrite, chunk.DirtyUpTo);
            long chunkOffset = mount.Layout.OffsetOf(chunk.Index);
            foreach (var (start, end) in chunk.Sending.Ranges)
            {
                if (pieces.Count > 0 && pieces[^1].Offset + pieces[^1].Length == chunkOffset + start)
                    pieces[^1] = pieces[^1] with { Length = pieces[^1].Length + (end - start) };
                else
                    pieces.Add((chunkOffset + start, at, end - start));
                at += end - start;
            }
        }

        return lastWrite;
    }

    private async Task SendZeroAsync(ZeroRun run)
    {
        long offset = mount.Layout.OffsetOf(run.FirstChunk);
        long length = mount.BytesOf(run.FirstChunk, run.Count);
        long lastWrite;
        lock (mount.Gate)
            lastWrite = mount.LastWrite;
        await SyncCacheAsync(lastWrite);
        if (run.Kind == ZeroKind.Trim)
        {
            await mount.Remote.TrimAsync(offset, length);
            return;
        }

        if (!mount.Remote.AreSent(run.Kind))
        {
            await mount.Remote.ZeroAsync(offset, length, run.Kind == ZeroKind.ZeroAllocated ? ZeroMode.KeepAllocated : ZeroMode.None);
            return;
        }

        for (long at = 0; at < length; at += LongestZeroWrite)
            await mount.Remote.WriteAsync(offset + at, Zeroes.AsMemory(0, (int)Math.Min(LongestZeroWrite, length - at)));
    }
}
