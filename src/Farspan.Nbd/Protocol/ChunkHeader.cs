using System.Buffers.Binary;

namespace Farspan.Nbd.Protocol;

/// <summary>
/// A chunk of a structured reply, server to client; <paramref name="Length"/> bytes follow. <paramref name="Offset"/> (the request's) is
/// carried by the extended form only.
/// <code>
/// structured          extended headers
///  0  4  0x668e33ef    0  4  0x6e8a278c
///  4  2  flags         4  2  flags
///  6  2  type          6  2  type
///  8  8  cookie        8  8  cookie
/// 16  4  length       16  8  offset
///                     24  8  length
/// </code>
/// </summary>
internal readonly record struct ChunkHeader(NbdChunkFlags Flags, NbdChunkType Type, ulong Cookie, ulong Offset, ulong Length)
{
    public const int StructuredSize = 20;
    public const int ExtendedSize = 32;

    public bool IsDone => (Flags & NbdChunkFlags.Done) != 0;

    public bool IsError => (Type & NbdChunkType.ErrorBit) != 0;

    public void Write(Span<byte> destination, bool extended)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, extended ? NbdConstants.ExtendedReplyMagic : NbdConstants.StructuredReplyMagic);
        BinaryPrimitives.WriteUInt16BigEndian(destination[4..], (ushort)Flags);
        BinaryPrimitives.WriteUInt16BigEndian(destination[6..], (ushort)Type);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], Cookie);
        if (extended)
        {
            BinaryPrimitives.WriteUInt64BigEndian(destination[16..], Offset);
            BinaryPrimitives.WriteUInt64BigEndian(destination[24..], Length);
        }
        else
        {
            BinaryPrimitives.WriteUInt32BigEndian(destination[16..], checked((uint)Length));
        }
    }

    /// <summary>False where the magic is wrong or the source is too short for the form asked for.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, bool extended, out ChunkHeader header)
    {
        header = default;
        if (source.Length < (extended ? ExtendedSize : StructuredSize))
            return false;
        uint magic = extended ? NbdConstants.ExtendedReplyMagic : NbdConstants.StructuredReplyMagic;
        if (BinaryPrimitives.ReadUInt32BigEndian(source) != magic)
            return false;
        header = new(
            (NbdChunkFlags)BinaryPrimitives.ReadUInt16BigEndian(source[4..]),
            (NbdChunkType)BinaryPrimitives.ReadUInt16BigEndian(source[6..]),
            BinaryPrimitives.ReadUInt64BigEndian(source[8..]),
            extended ? BinaryPrimitives.ReadUInt64BigEndian(source[16..]) : 0,
            extended ? BinaryPrimitives.ReadUInt64BigEndian(source[24..]) : BinaryPrimitives.ReadUInt32BigEndian(source[16..]));
        return true;
    }
}
