using System.Buffers.Binary;
using Farspan.Checksums;

namespace Farspan.Wire.Protocol;

/// <summary>
/// The header of a request or a reply; the payload follows it. Little-endian. docs/wire/farspan.md has the same table.
/// <code>
///  0  4  magic: "FSrq" request, "FSrp" reply
///  4  2  operation
///  6  2  request: flags; reply: status
///  8  4  request id, chosen by the client, unique among its requests in flight on the connection
/// 12  4  length of the payload
/// 16  8  epoch of the lease that the request is made under; 0 without one
/// 24  8  offset
/// 32  8  length of the range
/// 40  4  CRC-32C of the payload; 0 without a payload, or where payloads have no checksums
/// 44  4  CRC-32C of bytes 0 to 43
/// </code>
/// </summary>
internal readonly record struct WireFrame(
    WireOperation Operation, ushort Detail, uint Id, int PayloadLength, long Epoch, long Offset, long Length, uint PayloadChecksum)
{
    public const int Size = 48;

    private const int Checked = Size - 4;
    private const uint RequestMagic = 0x7172_5346;
    private const uint ReplyMagic = 0x7072_5346;

    public WireStatus Status => (WireStatus)Detail;

    /// <summary>False where the bytes are no request header, or one with wrong numbers.</summary>
    public static bool TryReadRequest(ReadOnlySpan<byte> source, out WireFrame frame) => TryRead(source, RequestMagic, out frame);

    /// <summary>False where the bytes are no reply header, or one with wrong numbers.</summary>
    public static bool TryReadReply(ReadOnlySpan<byte> source, out WireFrame frame) => TryRead(source, ReplyMagic, out frame);

    public void WriteRequest(Span<byte> destination) => Write(destination, RequestMagic);

    public void WriteReply(Span<byte> destination) => Write(destination, ReplyMagic);

    private static bool TryRead(ReadOnlySpan<byte> source, uint magic, out WireFrame frame)
    {
        frame = default;
        if (source.Length < Size || BinaryPrimitives.ReadUInt32LittleEndian(source) != magic
            || Crc32C.Compute(source[..Checked]) != BinaryPrimitives.ReadUInt32LittleEndian(source[Checked..]))
        {
            return false;
        }

        frame = new WireFrame(
            (WireOperation)BinaryPrimitives.ReadUInt16LittleEndian(source[4..]),
            BinaryPrimitives.ReadUInt16LittleEndian(source[6..]),
            BinaryPrimitives.ReadUInt32LittleEndian(source[8..]),
            BinaryPrimitives.ReadInt32LittleEndian(source[12..]),
            BinaryPrimitives.ReadInt64LittleEndian(source[16..]),
            BinaryPrimitives.ReadInt64LittleEndian(source[24..]),
            BinaryPrimitives.ReadInt64LittleEndian(source[32..]),
            BinaryPrimitives.ReadUInt32LittleEndian(source[40..]));
        return frame.PayloadLength >= 0 && frame.Epoch >= 0 && frame.Offset >= 0 && frame.Length >= 0;
    }

    private void Write(Span<byte> destination, uint magic)
    {
        destination = destination[..Size];
        BinaryPrimitives.WriteUInt32LittleEndian(destination, magic);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[4..], (ushort)Operation);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[6..], Detail);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[8..], Id);
        BinaryPrimitives.WriteInt32LittleEndian(destination[12..], PayloadLength);
        BinaryPrimitives.WriteInt64LittleEndian(destination[16..], Epoch);
        BinaryPrimitives.WriteInt64LittleEndian(destination[24..], Offset);
        BinaryPrimitives.WriteInt64LittleEndian(destination[32..], Length);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[40..], PayloadChecksum);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[Checked..], Crc32C.Compute(destination[..Checked]));
    }
}
