using Farspan.Backends;

namespace Farspan.Linux.Userfaults;

/// <summary>Writes whole chunks that are absent without reading what is there. Thread-safe.</summary>
internal sealed class AbsentWriter(RegionCore region, RegionEvictor room, RegionSaver saver)
{
    /// <summary>
    /// Claims absent chunks that a write covers, and waits for room for them; how many bytes that are, from its first on. Nothing, where it begins
    /// within a chunk, or at one that is not absent. What is claimed has to be put.
    /// </summary>
    /// <exception cref="BackendException">There is no room, since what was written cannot be saved.</exception>
    public async ValueTask<int> ClaimAsync(long offset, int length, CancellationToken cancellationToken)
    {
        long first = region.Layout.IndexOf(offset);
        if (region.Layout.OffsetOf(first) != offset)
            return 0;
        long count = region.Claim(first, Math.Min(region.BatchChunks, length / region.Layout.ChunkSize));
        if (count == 0 || room.TryTake(count))
            return (int)(count * region.Layout.ChunkSize);
        try
        {
            await room.TakeAsync(count, cancellationToken);
        }
        catch (Exception error)
        {
            // Others who wait for it have not given up.
            Finish(first, count, ChunkState.Absent, error as BackendException);
            throw;
        }

        return (int)(count * region.Layout.ChunkSize);
    }

    /// <summary>Puts the bytes of claimed chunks; false where it cannot be done, and they are absent again.</summary>
    public unsafe bool TryPut(long offset, ReadOnlySpan<byte> bytes)
    {
        long first = region.Layout.IndexOf(offset);
        long count = bytes.Length / region.Layout.ChunkSize;
        var state = ChunkState.Absent;
        try
        {
            FillOutcome outcome;
            fixed (byte* source = bytes)
                outcome = region.Memory.FillWritten(offset, source, bytes.Length);
            state = outcome == FillOutcome.Done ? ChunkState.Present : outcome == FillOutcome.Gone ? ChunkState.Gone : ChunkState.Absent;

            // What was put of it counts as written, and must not be taken for what is there.
            if (state == ChunkState.Absent)
                region.Memory.Drop(offset, bytes.Length);
        }
        finally
        {
            if (state != ChunkState.Present)
            {
                room.Return(count);
                Finish(first, count, state);
            }
        }

        if (state != ChunkState.Present)
            return false;
        for (long index = first; index < first + count; index++)
        {
            region.Finish(index, ChunkState.Present, region.Memory.TracksWrites ? ChunkTable.Used : ChunkTable.Used | ChunkTable.Unsaved);
            if (!region.Memory.TracksWrites)
                saver.MarkUnsaved(index);
        }

        return true;
    }

    private void Finish(long first, long count, ChunkState state, Exception? failure = null)
    {
        for (long index = first; index < first + count; index++)
            region.Finish(index, state, failure: failure);
    }
}
