using System.Buffers.Binary;
using System.Text;
using Farspan.Checksums;

namespace Farspan.Mounts.Caching.Journal;

/// <summary>
/// The start of a journal: 8 magic <c>FSPCACHE</c>, 4 version, 4 length of this header, 8 generation, 8 bytes of the region, 4 bytes of a
/// chunk, 4 length of the boot id, 8 bytes of the snapshot, 4 length of the remote's name, 4 zero; the boot id and the remote's name in
/// UTF-8; zeroes up to a multiple of 4; 4 CRC-32C of all before. Little-endian.
/// </summary>
/// <param name="Generation">1 for the first journal of a directory, and one more for each that replaces it.</param>
/// <param name="Length">Bytes of the region.</param>
/// <param name="ChunkSize">Bytes of a chunk.</param>
/// <param name="BootId">Names the run of the operating system that wrote it.</param>
/// <param name="Remote">Names the remote that is cached.</param>
/// <param name="SnapshotLength">Bytes of frames after the header that were durable before the journal got its name.</param>
internal sealed record JournalHeader(long Generation, long Length, int ChunkSize, string BootId, string Remote, long SnapshotLength)
{
    /// <summary>The version that this program writes, and the only one that it reads.</summary>
    public const int Version = 1;

    /// <summary>The longest header.</summary>
    public const int LongestHeader = 8192;

    /// <summary>Bytes that tell version and length.</summary>
    public const int PrefixLength = 16;

    /// <summary>The longest name of a remote, in bytes of UTF-8.</summary>
    public const int LongestRemote = 4096;

    /// <summary>The longest boot id, in bytes of UTF-8.</summary>
    public const int LongestBootId = 256;

    private const int FixedLength = 56;

    private static ReadOnlySpan<byte> Magic => "FSPCACHE"u8;

    /// <summary>The bytes of the header.</summary>
    public byte[] ToBytes()
    {
        byte[] boot = Encoding.UTF8.GetBytes(BootId);
        byte[] remote = Encoding.UTF8.GetBytes(Remote);
        byte[] bytes = new byte[((FixedLength + boot.Length + remote.Length + 3) & ~3) + 4];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(8), Version);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(12), bytes.Length);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(16), Generation);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(24), Length);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(32), ChunkSize);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(36), boot.Length);
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(40), SnapshotLength);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(48), remote.Length);
        boot.CopyTo(bytes, FixedLength);
        remote.CopyTo(bytes, FixedLength + boot.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(bytes.Length - 4), Crc32C.Compute(bytes.AsSpan(..^4)));
        return bytes;
    }

    /// <summary>The version and the length of the header that begins with <paramref name="bytes"/>; false where none does.</summary>
    public static bool TryReadPrefix(ReadOnlySpan<byte> bytes, out int version, out int headerLength)
    {
        version = headerLength = 0;
        if (bytes.Length < PrefixLength || !bytes.StartsWith(Magic))
            return false;
        version = BinaryPrimitives.ReadInt32LittleEndian(bytes[8..]);
        headerLength = BinaryPrimitives.ReadInt32LittleEndian(bytes[12..]);
        return version != Version || headerLength is >= FixedLength + 4 and <= LongestHeader;
    }

    /// <summary>Reads a whole header of this version; null where it is damaged.</summary>
    public static JournalHeader? TryRead(ReadOnlySpan<byte> bytes)
    {
        if (!TryReadPrefix(bytes, out int version, out int headerLength) || version != Version || headerLength != bytes.Length
            || BinaryPrimitives.ReadUInt32LittleEndian(bytes[^4..]) != Crc32C.Compute(bytes[..^4]))
        {
            return null;
        }

        long boot = BinaryPrimitives.ReadUInt32LittleEndian(bytes[36..]);
        long remote = BinaryPrimitives.ReadUInt32LittleEndian(bytes[48..]);
        if (((FixedLength + boot + remote + 3) & ~3) + 4 != headerLength)
            return null;
        return new JournalHeader(
            BinaryPrimitives.ReadInt64LittleEndian(bytes[16..]),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[24..]),
            BinaryPrimitives.ReadInt32LittleEndian(bytes[32..]),
            Encoding.UTF8.GetString(bytes.Slice(FixedLength, (int)boot)),
            Encoding.UTF8.GetString(bytes.Slice(FixedLength + (int)boot, (int)remote)),
            BinaryPrimitives.ReadInt64LittleEndian(bytes[40..]));
    }
}
