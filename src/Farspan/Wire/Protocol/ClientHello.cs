using System.Buffers.Binary;
using Farspan.Checksums;

namespace Farspan.Wire.Protocol;

/// <summary>
/// The first bytes of a connection, from the client. Little-endian; the export's name in UTF-8 follows.
/// <code>
///  0  8  magic: "FARSPAN" and a line feed
///  8  2  lowest version that the client speaks
/// 10  2  highest version
/// 12  4  what the client asks for: 256 checksums of payloads
/// 16 16  session: chosen at random by the client, the same on all its connections; whoever knows it is that client
/// 32  4  place of this connection in the session, from 0; an older connection in the same place ends first
/// 36  4  length of the export's name
/// 40  4  CRC-32C of the name
/// 44  4  CRC-32C of bytes 0 to 43
/// </code>
/// </summary>
internal readonly record struct ClientHello(
    ushort LowestVersion, ushort HighestVersion, WireCapabilities Wishes, Guid Session, int Place, int NameLength, uint NameChecksum)
{
    public const int Size = 48;

    private const int Checked = Size - 4;

    private static ReadOnlySpan<byte> Magic => "FARSPAN\n"u8;

    /// <summary>Whether what came so far can still become a hello.</summary>
    public static bool CanBegin(ReadOnlySpan<byte> source)
        => source[..Math.Min(source.Length, Magic.Length)].SequenceEqual(Magic[..Math.Min(source.Length, Magic.Length)]);

    /// <summary>False where the bytes are no hello, or one with lengths out of bounds.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out ClientHello hello)
    {
        hello = default;
        if (source.Length < Size || !source.StartsWith(Magic)
            || Crc32C.Compute(source[..Checked]) != BinaryPrimitives.ReadUInt32LittleEndian(source[Checked..]))
        {
            return false;
        }

        hello = new ClientHello(
            BinaryPrimitives.ReadUInt16LittleEndian(source[8..]),
            BinaryPrimitives.ReadUInt16LittleEndian(source[10..]),
            (WireCapabilities)BinaryPrimitives.ReadUInt32LittleEndian(source[12..]),
            new Guid(source.Slice(16, 16)),
            BinaryPrimitives.ReadInt32LittleEndian(source[32..]),
            BinaryPrimitives.ReadInt32LittleEndian(source[36..]),
            BinaryPrimitives.ReadUInt32LittleEndian(source[40..]));
        return hello is { NameLength: >= 0 and <= WireLimits.MaximumName, Place: >= 0 } && hello.Session != Guid.Empty
            && hello.LowestVersion <= hello.HighestVersion;
    }

    public void Write(Span<byte> destination)
    {
        destination = destination[..Size];
        Magic.CopyTo(destination);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[8..], LowestVersion);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[10..], HighestVersion);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[12..], (uint)Wishes);
        Session.TryWriteBytes(destination[16..]);
        BinaryPrimitives.WriteInt32LittleEndian(destination[32..], Place);
        BinaryPrimitives.WriteInt32LittleEndian(destination[36..], NameLength);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[40..], NameChecksum);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[Checked..], Crc32C.Compute(destination[..Checked]));
    }
}
