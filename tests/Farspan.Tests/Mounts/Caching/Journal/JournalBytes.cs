using System.Buffers;
using System.Globalization;
using System.Text;
using Farspan.Backends;
using Farspan.Checksums;
using Farspan.Mounts.Caching;
using Farspan.Mounts.Caching.Journal;

namespace Farspan.Tests.Mounts.Caching.Journal;

/// <summary>Journals as bytes, made and read.</summary>
internal static class JournalBytes
{
    public const string Boot = "boot-1";

    /// <summary>A header for 16 chunks of 4 KiB.</summary>
    public static JournalHeader Header(long snapshotLength = 0) => new(3, 16 * 4096, 4096, Boot, "memory:64KiB", snapshotLength);

    /// <summary>A journal of the given frames, the first <paramref name="snapshotFrames"/> of which are its snapshot.</summary>
    public static (byte[] Bytes, List<int> Ends) Make(int snapshotFrames, params Action<ArrayBufferWriter<byte>>[] frames)
    {
        var body = new List<byte>();
        int headerLength = Header().ToBytes().Length;
        var ends = new List<int> { headerLength };
        int snapshot = 0;
        int synced = 0;
        for (int i = 0; i < frames.Length; i++)
        {
            var payload = new ArrayBufferWriter<byte>();
            frames[i](payload);
            body.AddRange(Frame(payload.WrittenSpan, i + 1, synced));
            ends.Add(headerLength + body.Count);
            if (i < snapshotFrames)
                snapshot = body.Count;

            // As a cache does that makes every checkpoint durable before it goes on.
            if (i < snapshotFrames || payload.WrittenSpan[0] == (byte)RecordKind.Checkpoint)
                synced = ends[^1];
        }

        return ([.. Header(snapshot).ToBytes(), .. body], ends);
    }

    public static byte[] Frame(ReadOnlySpan<byte> payload, long sequence, long synced = 0)
    {
        byte[] frame = new byte[FrameHeader.Size + payload.Length];
        new FrameHeader(payload.Length, sequence, synced, Crc32C.Compute(payload)).Write(frame, Header().Generation);
        payload.CopyTo(frame.AsSpan(FrameHeader.Size));
        return frame;
    }

    /// <summary>What a journal says, as text; <c>refused</c> where it is refused.</summary>
    public static async Task<string> SayAsync(byte[] bytes, string boot = Boot)
    {
        try
        {
            var file = new MemoryCacheFile(bytes);
            var summary = await JournalScan.ReadAsync(file, "test", boot);
            bool wasPowerLost = !summary.IsClosed && (summary.HasFault || summary.Header.BootId != boot);
            var notes = await JournalScan.ReplayAsync(file, summary, "test", wasPowerLost);
            var text = new StringBuilder();
            foreach (var chunk in RecoveredChunks.List(notes))
            {
                string ranges = string.Join(',', chunk.DirtyRanges.Select(range => $"{range.Start}+{range.Length}"));
                text.Append(CultureInfo.InvariantCulture, $"{chunk.Index}:{(chunk.IsWhole ? "whole" : "part")}[{ranges}]{(chunk.UnprovenChecksum is { } sum ? $"?{sum}" : "")} ");
            }

            return text.ToString().TrimEnd();
        }
        catch (BackendException refused) when (refused.Error is BackendError.Corrupt or BackendError.NotSupported)
        {
            return "refused";
        }
    }
}
