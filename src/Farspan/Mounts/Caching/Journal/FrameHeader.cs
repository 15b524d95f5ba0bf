using System.Buffers.Binary;
using Farspan.Checksums;

namespace Farspan.Mounts.Caching.Journal;

/// <summary>
/// What stands before the records that were appended together: 4 magic, 4 length of the records, 8 sequence number, 8 bytes of the journal known
/// to be durable, 4 CRC-32C of the records, 4 CRC-32C of the journal's generation and what is before. Little-endian.
/// </summary>
/// <param name="Length">Bytes of records that follow.</param>
/// <param name="Sequence">1 for the journal's first frame, and one more for each.</param>
/// <param name="SyncedLength">Bytes from the journal's start that were known to be durable when the frame was written.</param>
/// <param name="Checksum">CRC-32C of the records.</param>
internal readonly record struct FrameHeader(int Length, long Sequence, long SyncedLength, uint Checksum)
{
    /// <summary>Bytes of the header.</summary>
    public const int Size = 32;

    /// <summary>The most bytes of records in a frame.</summary>
    public const int LongestPayload = 1 << 20;

    /// <summary>The first four bytes: <c>FSJF</c>.</summary>
    public const uint Magic = 0x464A5346;

    /// <summary>Writes the header; <paramref name="generation"/> is the journal's.</summary>
    public void Write(Span<byte> bytes, long generation)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, Magic);
        BinaryPrimitives.WriteInt32LittleEndian(bytes[4..], Length);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[8..], Sequence);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[16..], SyncedLength);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[24..], Checksum);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[28..], ChecksumOf(bytes, generation));
    }

    /// <summary>Reads a header; false where these bytes are none of a journal of this generation.</summary>
    public static bool TryRead(ReadOnlySpan<byte> bytes, long generation, out FrameHeader header)
    {
        header = default;
        if (bytes.Length < Size || BinaryPrimitives.ReadUInt32LittleEndian(bytes) != Magic
            || BinaryPrimitives.ReadUInt32LittleEndian(bytes[28..]) != ChecksumOf(bytes, generation))
        {
            return false;
        }

        header = new FrameHeader(
            BinaryPrimitives.ReadInt32LittleEndian(bytes[4..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[24..]));
        return header.Length is > 0 and <= LongestPayload;
    }

    private static uint ChecksumOf(ReadOnlySpan<byte> bytes, long generation)
    {
        Span<byte> seed = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(seed, generation);
        return Crc32C.Append(Crc32C.Compute(seed), bytes[..28]);
    }
}
