using System.Buffers;
using Farspan.Chunks;

namespace Farspan.Mounts.Caching.Journal;

/// <summary>The records that say what notes say, as the payloads of frames.</summary>
internal static class SnapshotRecords
{
    /// <summary>A payload is closed at this length; a record is at most half of the longest payload, so that it stays under that.</summary>
    public const int EnoughBytes = FrameHeader.LongestPayload / 2;

    /// <summary>Ranges of one record: 8 bytes each.</summary>
    public const int MostRanges = JournalRecord.LongestRun / 2;

    /// <summary>What is true after a loss of power too.</summary>
    public static IEnumerable<ReadOnlyMemory<byte>> Durable(ChunkNotes notes)
    {
        var payload = new ArrayBufferWriter<byte>();
        foreach (var (first, count) in notes.ZeroRuns())
        {
            JournalRecord.Write(payload, RecordKind.Zero, first, count);
            if (payload.WrittenCount >= EnoughBytes)
                yield return Take(payload);
        }

        uint[] checksums = new uint[Math.Min(JournalRecord.LongestRun, notes.Layout.ChunkCount)];
        var here = notes.HereChunks();
        for (long index = here.Next(0); index >= 0; index = here.Next(index))
        {
            var state = notes.Get(index).State;
            int count = 1;
            switch (state)
            {
                case NotedState.Clean or NotedState.Unproven:
                    count = CollectRun(notes, index, state, checksums);
                    JournalRecord.WriteChecksums(
                        payload, state == NotedState.Clean ? RecordKind.Clean : RecordKind.Unproven, index, checksums.AsSpan(0, count));
                    break;
                case NotedState.WholeDirty:
                    count = CollectRun(notes, index, state, checksums);
                    JournalRecord.Write(payload, RecordKind.Whole, index, count);
                    break;
                default:
                    var ranges = DurableRanges(notes, index);
                    for (int first = 0; first < ranges.Ranges.Length; first += MostRanges)
                    {
                        WriteDirty(payload, index, ranges, first);
                        if (payload.WrittenCount >= EnoughBytes)
                            yield return Take(payload);
                    }

                    if (state == NotedState.WholeDirtyInPart)
                        JournalRecord.Write(payload, RecordKind.Whole, index, count: 1);
                    break;
            }

            index += count;
            if (payload.WrittenCount >= EnoughBytes)
                yield return Take(payload);
        }

        if (payload.WrittenCount != 0)
            yield return Take(payload);
    }

    /// <summary>What is true unless power is lost before the next checkpoint.</summary>
    public static IEnumerable<ReadOnlyMemory<byte>> Unsettled(ChunkNotes notes)
    {
        var payload = new ArrayBufferWriter<byte>();
        foreach (long index in notes.UnsettledChunks())
        {
            notes.TryGetUnsettled(index, out var ranges);
            for (int first = 0; first < ranges!.Ranges.Length; first += MostRanges)
            {
                WriteDirty(payload, index, ranges, first);
                if (payload.WrittenCount >= EnoughBytes)
                    yield return Take(payload);
            }
        }

        if (payload.WrittenCount != 0)
            yield return Take(payload);
    }

    /// <summary>Writes the ranges from <paramref name="first"/> on that fit one record.</summary>
    public static void WriteDirty(ArrayBufferWriter<byte> payload, long index, RangeSet ranges, int first)
    {
        var rest = ranges.Ranges[first..];
        JournalRecord.WriteDirty(payload, index, rest[..Math.Min(rest.Length, MostRanges)]);
    }

    private static RangeSet DurableRanges(ChunkNotes notes, long index)
    {
        var all = notes.RangesOf(index)!;
        if (!notes.TryGetUnsettled(index, out var unsettled))
            return all;
        var durable = new RangeSet();
        durable.Add(all);
        durable.Remove(unsettled);
        return durable;
    }

    private static byte[] Take(ArrayBufferWriter<byte> payload)
    {
        byte[] taken = payload.WrittenSpan.ToArray();
        payload.ResetWrittenCount();
        return taken;
    }

    private static int CollectRun(ChunkNotes notes, long index, NotedState state, uint[] checksums)
    {
        int count = 0;
        for (; count < checksums.Length && index + count < notes.Layout.ChunkCount && notes.IsHere(index + count); count++)
        {
            var chunk = notes.Get(index + count);
            if (chunk.State != state)
                break;
            checksums[count] = chunk.Checksum;
        }

        return count;
    }
}
