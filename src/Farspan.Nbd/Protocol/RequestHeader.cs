using System.Buffers.Binary;

namespace Farspan.Nbd.Protocol;

/// <summary>
/// A request, client to server; WRITE is followed by its payload.
/// <code>
/// compact            extended headers
///  0  4  0x25609513   0  4  0x21e41c71
///  4  2  flags        4  2  flags
///  6  2  command      6  2  command
///  8  8  cookie       8  8  cookie
/// 16  8  offset      16  8  offset
/// 24  4  length      24  8  length
/// </code>
/// </summary>
internal readonly record struct RequestHeader(NbdCommandFlags Flags, NbdCommand Command, ulong Cookie, ulong Offset, ulong Length)
{
    public const int CompactSize = 28;
    public const int ExtendedSize = 32;

    public void Write(Span<byte> destination, bool extended)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, extended ? NbdConstants.ExtendedRequestMagic : NbdConstants.RequestMagic);
        BinaryPrimitives.WriteUInt16BigEndian(destination[4..], (ushort)Flags);
        BinaryPrimitives.WriteUInt16BigEndian(destination[6..], (ushort)Command);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], Cookie);
        BinaryPrimitives.WriteUInt64BigEndian(destination[16..], Offset);
        if (extended)
            BinaryPrimitives.WriteUInt64BigEndian(destination[24..], Length);
        else
            BinaryPrimitives.WriteUInt32BigEndian(destination[24..], checked((uint)Length));
    }

    /// <summary>False where the magic is wrong or the source is too short for the form asked for.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, bool extended, out RequestHeader header)
    {
        header = default;
        if (source.Length < (extended ? ExtendedSize : CompactSize))
            return false;
        uint magic = extended ? NbdConstants.ExtendedRequestMagic : NbdConstants.RequestMagic;
        if (BinaryPrimitives.ReadUInt32BigEndian(source) != magic)
            return false;
        header = new(
            (NbdCommandFlags)BinaryPrimitives.ReadUInt16BigEndian(source[4..]),
            (NbdCommand)BinaryPrimitives.ReadUInt16BigEndian(source[6..]),
            BinaryPrimitives.ReadUInt64BigEndian(source[8..]),
            BinaryPrimitives.ReadUInt64BigEndian(source[16..]),
            extended ? BinaryPrimitives.ReadUInt64BigEndian(source[24..]) : BinaryPrimitives.ReadUInt32BigEndian(source[24..]));
        return true;
    }
}
