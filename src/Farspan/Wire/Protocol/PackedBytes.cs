using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;

namespace Farspan.Wire.Protocol;

/// <summary>
/// The payload of the reply to MIGRATE_READ where it is shorter than the range; as long as the range, it is the bytes themselves. Little-endian.
/// <code>
///  0   n  what is stored of the segments, one after the other
///  n   8  each segment, in order: bytes of the range (4), bytes that are stored of it (4): none, it is zero; as many, they are its bytes;
///         fewer, its bytes in Brotli's format (RFC 7932)
/// end  4  how many segments
/// </code>
/// The table comes last so that a range is packed where it lies.
/// </summary>
internal static class PackedBytes
{
    /// <summary>In the request's flags: segments of zeroes may be left out.</summary>
    public const ushort ZeroFlag = 1;

    /// <summary>In the request's flags: segments may be compressed.</summary>
    public const ushort CompressFlag = 2;

    /// <summary>The least payload of a range that is packed.</summary>
    public const int LeastSize = RecordSize + CountSize;

    // What is shorter stays as it is. So each segment that is made smaller, by an eighth at least, saves more than the table has for it.
    private const int LeastSegment = 512;
    private const int ZeroSegment = 4 << 10;
    private const int CompressedSegment = 64 << 10;
    private const int RecordSize = 8;
    private const int CountSize = 4;
    private const int Quality = 1;
    private const int WindowBits = 16;

    /// <summary>Packs a range where it lies; returns the length of the payload, which is the range's where nothing is saved.</summary>
    public static int Pack(Span<byte> bytes, int flags, int chunkSize)
    {
        bool compresses = (flags & CompressFlag) != 0;
        int size = Math.Min(chunkSize, compresses ? CompressedSegment : ZeroSegment);
        if (flags == 0 || size < LeastSegment || bytes.Length < LeastSegment)
            return bytes.Length;
        byte[] table = ArrayPool<byte>.Shared.Rent(((bytes.Length / size) + 1) * RecordSize);
        byte[]? scratch = compresses ? ArrayPool<byte>.Shared.Rent(size) : null;
        int records = 0;
        int end = 0;
        for (int at = 0; at < bytes.Length; at += size)
        {
            var segment = bytes.Slice(at, Math.Min(size, bytes.Length - at));
            int stored = Shorten(segment, scratch);
            var result = stored == segment.Length ? segment : scratch.AsSpan(0, stored);
            if (end < at || stored < segment.Length)
                result.CopyTo(bytes[end..]);
            end += stored;
            Add(table, ref records, segment.Length, stored);
        }

        if (end < bytes.Length)
        {
            table.AsSpan(0, records * RecordSize).CopyTo(bytes[end..]);
            end += records * RecordSize;
            BinaryPrimitives.WriteInt32LittleEndian(bytes[end..], records);
            end += CountSize;
        }

        ArrayPool<byte>.Shared.Return(table);
        if (scratch is not null)
            ArrayPool<byte>.Shared.Return(scratch);
        return end;
    }

    /// <summary>Fills <paramref name="target"/> from a payload; false where that is not a range of this length, packed as was asked for.</summary>
    public static bool TryUnpack(ReadOnlySpan<byte> payload, Span<byte> target, int flags)
    {
        if (payload.Length < LeastSize)
            return false;
        uint count = BinaryPrimitives.ReadUInt32LittleEndian(payload[^CountSize..]);
        payload = payload[..^CountSize];
        if (count > payload.Length / RecordSize)
            return false;
        int start = payload.Length - ((int)count * RecordSize);
        var table = payload[start..];
        var data = payload[..start];
        for (; table.Length > 0; table = table[RecordSize..])
        {
            uint length = BinaryPrimitives.ReadUInt32LittleEndian(table);
            uint stored = BinaryPrimitives.ReadUInt32LittleEndian(table[4..]);
            if (length == 0 || length > target.Length || stored > length || stored > data.Length)
                return false;
            if (!TryUnpackSegment(data[..(int)stored], target[..(int)length], flags))
                return false;
            data = data[(int)stored..];
            target = target[(int)length..];
        }

        return data.IsEmpty && target.IsEmpty;
    }

    private static bool TryUnpackSegment(ReadOnlySpan<byte> stored, Span<byte> segment, int flags)
    {
        if (stored.IsEmpty)
        {
            segment.Clear();
            return true;
        }

        if (stored.Length == segment.Length)
        {
            stored.CopyTo(segment);
            return true;
        }

        if ((flags & CompressFlag) == 0)
            return false;
        using var decoder = default(BrotliDecoder);
        return decoder.Decompress(stored, segment, out int consumed, out int written) == OperationStatus.Done
            && consumed == stored.Length && written == segment.Length;
    }

    /// <summary>How many bytes are stored of a segment, in <paramref name="scratch"/> unless that is none or all.</summary>
    private static int Shorten(ReadOnlySpan<byte> segment, byte[]? scratch)
    {
        if (segment.Length < LeastSegment)
            return segment.Length;
        if (!segment.ContainsAnyExcept((byte)0))
            return 0;
        var room = scratch.AsSpan(0, scratch is null ? 0 : segment.Length - (segment.Length / 8));
        return scratch is not null && BrotliEncoder.TryCompress(segment, room, out int written, Quality, WindowBits) ? written : segment.Length;
    }

    private static void Add(byte[] table, ref int records, int length, int stored)
    {
        if (records > 0 && (stored == 0 || stored == length))
        {
            var last = table.AsSpan((records - 1) * RecordSize);
            int lastLength = BinaryPrimitives.ReadInt32LittleEndian(last);
            int lastStored = BinaryPrimitives.ReadInt32LittleEndian(last[4..]);
            if (stored == 0 ? lastStored == 0 : lastStored == lastLength)
            {
                Write(last, lastLength + length, lastStored + stored);
                return;
            }
        }

        Write(table.AsSpan(records++ * RecordSize), length, stored);
    }

    private static void Write(Span<byte> record, int length, int stored)
    {
        BinaryPrimitives.WriteInt32LittleEndian(record, length);
        BinaryPrimitives.WriteInt32LittleEndian(record[4..], stored);
    }
}
