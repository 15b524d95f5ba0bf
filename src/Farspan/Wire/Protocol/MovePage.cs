using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using Farspan.Migration;

namespace Farspan.Wire.Protocol;

/// <summary>
/// A page of a list of changed chunks: the payload of the reply to MIGRATE_LIST, and the end of a <see cref="MoveReply"/>. Little-endian.
/// <code>
///  0  8  the chunk where the next page begins; -1 after the last
///  8 16  each run, in ascending order and apart: first chunk (8), how many (8)
/// </code>
/// </summary>
internal static class MovePage
{
    private const int HeadSize = 8;
    private const int RunSize = 16;

    /// <summary>Bytes of a page of so many runs.</summary>
    public static int SizeOf(int runs) => HeadSize + (runs * RunSize);

    /// <summary>How many runs a payload of so many bytes has room for.</summary>
    public static int Room(int bytes) => (bytes - HeadSize) / RunSize;

    /// <summary>False where the bytes are no page that begins at <paramref name="firstChunk"/>, or one with more than <paramref name="limit"/> runs.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, long firstChunk, long chunkCount, int limit, [NotNullWhen(true)] out ChangedPage? page)
    {
        page = null;
        if (source.Length < HeadSize || (source.Length - HeadSize) % RunSize != 0 || Room(source.Length) > limit)
            return false;
        long next = BinaryPrimitives.ReadInt64LittleEndian(source);
        var runs = new ChangedRun[Room(source.Length)];
        long at = firstChunk;
        for (int i = 0; i < runs.Length; i++)
        {
            var bytes = source[SizeOf(i)..];
            var run = new ChangedRun(BinaryPrimitives.ReadInt64LittleEndian(bytes), BinaryPrimitives.ReadInt64LittleEndian(bytes[8..]));
            if (run.FirstChunk < at || run.FirstChunk >= chunkCount || run.Count < 1 || run.Count > chunkCount - run.FirstChunk)
                return false;
            runs[i] = run;
            at = run.FirstChunk + run.Count;
        }

        // Each page but the last brings its reader on.
        if (next != -1 && (runs.Length == 0 || next < at || next >= chunkCount))
            return false;
        page = new ChangedPage(runs, next);
        return true;
    }

    public static byte[] ToBytes(ChangedPage page)
    {
        byte[] bytes = new byte[SizeOf(page.Runs.Count)];
        Write(page, bytes);
        return bytes;
    }

    public static void Write(ChangedPage page, Span<byte> destination)
    {
        BinaryPrimitives.WriteInt64LittleEndian(destination, page.NextChunk);
        for (int i = 0; i < page.Runs.Count; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(destination[SizeOf(i)..], page.Runs[i].FirstChunk);
            BinaryPrimitives.WriteInt64LittleEndian(destination[(SizeOf(i) + 8)..], page.Runs[i].Count);
        }
    }
}
