using System.Buffers;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Farspan.Chunks;

namespace Farspan.Mounts.Caching.Journal;

/// <summary>
/// One record inside a frame: 4 kind, 4 count, 8 index, then for <see cref="RecordKind.Dirty"/> count × (4 start, 4 length), for
/// <see cref="RecordKind.Clean"/> and <see cref="RecordKind.Unproven"/> count × 4 checksum. Little-endian. See docs/wire/cache-journal.md.
/// </summary>
internal readonly ref struct JournalRecord
{
    /// <summary>Bytes before the items.</summary>
    public const int HeaderLength = 16;

    /// <summary>The most items one record may carry where it is written.</summary>
    public const int LongestRun = 1 << 16;

    private readonly ReadOnlySpan<byte> _items;

    private JournalRecord(RecordKind kind, int count, long index, ReadOnlySpan<byte> items)
    {
        Kind = kind;
        Count = count;
        Index = index;
        _items = items;
    }

    /// <summary>What it says.</summary>
    public RecordKind Kind { get; }

    /// <summary>Ranges of a dirty record; chunks of the other ones that speak of chunks; else 0.</summary>
    public int Count { get; }

    /// <summary>The first chunk; of a checkpoint the sequence number; else 0.</summary>
    public long Index { get; }

    /// <summary>A range of a dirty record, from the chunk's start.</summary>
    public (int Start, int End) Range(int item)
    {
        int start = BinaryPrimitives.ReadInt32LittleEndian(_items[(item * 8)..]);
        return (start, start + BinaryPrimitives.ReadInt32LittleEndian(_items[((item * 8) + 4)..]));
    }

    /// <summary>A checksum of a clean or unproven record.</summary>
    public uint Checksum(int item) => BinaryPrimitives.ReadUInt32LittleEndian(_items[(item * 4)..]);

    /// <summary>Takes the next record off <paramref name="payload"/>; false where it is none that fits <paramref name="layout"/>.</summary>
    public static bool TryRead(ref ReadOnlySpan<byte> payload, ChunkLayout layout, out JournalRecord record)
    {
        record = default;
        if (payload.Length < HeaderLength)
            return false;
        var kind = (RecordKind)BinaryPrimitives.ReadInt32LittleEndian(payload);
        int count = BinaryPrimitives.ReadInt32LittleEndian(payload[4..]);
        long index = BinaryPrimitives.ReadInt64LittleEndian(payload[8..]);
        var rest = payload[HeaderLength..];
        int itemLength = ItemLength(kind);
        if (count < 0 || index < 0 || count > (itemLength == 0 ? int.MaxValue : rest.Length / itemLength))
            return false;
        record = new JournalRecord(kind, count, index, rest[..(count * itemLength)]);
        payload = rest[(count * itemLength)..];
        return kind switch
        {
            RecordKind.Dirty => count > 0 && index < layout.ChunkCount && record.RangesFit(layout.LengthOf(index)),
            RecordKind.Whole or RecordKind.Clean or RecordKind.Unproven or RecordKind.Discard or RecordKind.Zero or RecordKind.ForgetClean
                => count > 0 && index <= layout.ChunkCount - count,
            RecordKind.Checkpoint => count == 0,
            RecordKind.Closed or RecordKind.Fault => count == 0 && index == 0,
            _ => false,
        };
    }

    /// <summary>Writes that ranges of a chunk are dirty.</summary>
    public static void WriteDirty(IBufferWriter<byte> writer, long chunkIndex, ReadOnlySpan<(int Start, int End)> ranges)
    {
        var bytes = WriteHeader(writer, RecordKind.Dirty, ranges.Length, chunkIndex, ranges.Length * 8);
        foreach (var (start, end) in ranges)
        {
            BinaryPrimitives.WriteInt32LittleEndian(bytes, start);
            BinaryPrimitives.WriteInt32LittleEndian(bytes[4..], end - start);
            bytes = bytes[8..];
        }
    }

    /// <summary>Writes that chunks are clean, or clean and unproven.</summary>
    public static void WriteChecksums(IBufferWriter<byte> writer, RecordKind kind, long chunkIndex, ReadOnlySpan<uint> checksums)
    {
        var bytes = WriteHeader(writer, kind, checksums.Length, chunkIndex, checksums.Length * 4);
        if (BitConverter.IsLittleEndian)
        {
            MemoryMarshal.AsBytes(checksums).CopyTo(bytes);
            return;
        }

        for (int i = 0; i < checksums.Length; i++)
            BinaryPrimitives.WriteUInt32LittleEndian(bytes[(i * 4)..], checksums[i]);
    }

    /// <summary>Writes a record without items.</summary>
    public static void Write(IBufferWriter<byte> writer, RecordKind kind, long index = 0, int count = 0)
        => WriteHeader(writer, kind, count, index, itemsLength: 0);

    private static Span<byte> WriteHeader(IBufferWriter<byte> writer, RecordKind kind, int count, long index, int itemsLength)
    {
        var bytes = writer.GetSpan(HeaderLength + itemsLength)[..(HeaderLength + itemsLength)];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, (int)kind);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[4..], count);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[8..], index);
        writer.Advance(bytes.Length);
        return bytes[HeaderLength..];
    }

    private static int ItemLength(RecordKind kind) => kind switch
    {
        RecordKind.Dirty => 8,
        RecordKind.Clean or RecordKind.Unproven => 4,
        _ => 0,
    };

    private bool RangesFit(int chunkLength)
    {
        for (int i = 0; i < Count; i++)
        {
            int start = BinaryPrimitives.ReadInt32LittleEndian(_items[(i * 8)..]);
            int length = BinaryPrimitives.ReadInt32LittleEndian(_items[((i * 8) + 4)..]);
            if (start < 0 || length < 1 || start > chunkLength - length)
                return false;
        }

        return true;
    }
}
