using System.Buffers.Binary;
using Farspan.Checksums;

namespace Farspan.Wire.Protocol;

/// <summary>
/// The server's answer to a hello. Little-endian; a text follows, the reason of a refusal or the export's description.
/// <code>
///  0  8  magic: "farspan" and a line feed
///  8  2  version that is spoken
/// 10  2  status; anything but 0 ends the connection
/// 12  4  capabilities of the export; 256: payloads of this connection have checksums
/// 16 16  instance: chosen at random when the server started
/// 32  8  length of the export in bytes
/// 40  4  block sizes: minimum
/// 44  4  preferred
/// 48  4  maximum
/// 52  4  longest payload that the server takes and sends
/// 56  4  requests in flight on this connection
/// 60  4  connections of one session
/// 64  4  time after which a silent holder's lease can be taken by another, in milliseconds
/// 68  4  length of the text
/// 72  4  CRC-32C of the text
/// 76  4  CRC-32C of bytes 0 to 75
/// </code>
/// </summary>
internal readonly record struct ServerHello(
    ushort Version, WireStatus Status, WireCapabilities Capabilities, Guid Instance, long Length, int MinimumBlock, int PreferredBlock,
    int MaximumBlock, int MaximumPayload, int MaximumInFlight, int MaximumConnections, int LeaseMilliseconds, int TextLength, uint TextChecksum)
{
    public const int Size = 80;

    private const int Checked = Size - 4;

    private static ReadOnlySpan<byte> Magic => "farspan\n"u8;

    /// <summary>False where the bytes are no answer, or one with numbers out of bounds.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out ServerHello hello)
    {
        hello = default;
        if (source.Length < Size || !source.StartsWith(Magic)
            || Crc32C.Compute(source[..Checked]) != BinaryPrimitives.ReadUInt32LittleEndian(source[Checked..]))
        {
            return false;
        }

        hello = new ServerHello(
            BinaryPrimitives.ReadUInt16LittleEndian(source[8..]),
            (WireStatus)BinaryPrimitives.ReadUInt16LittleEndian(source[10..]),
            (WireCapabilities)BinaryPrimitives.ReadUInt32LittleEndian(source[12..]),
            new Guid(source.Slice(16, 16)),
            BinaryPrimitives.ReadInt64LittleEndian(source[32..]),
            Number(source, 40),
            Number(source, 44),
            Number(source, 48),
            Number(source, 52),
            Number(source, 56),
            Number(source, 60),
            Number(source, 64),
            Number(source, 68),
            BinaryPrimitives.ReadUInt32LittleEndian(source[72..]));
        return hello.TextLength is >= 0 and <= WireLimits.MaximumMessage && (hello.Status != WireStatus.Done || hello.IsSound);
    }

    private bool IsSound
        => Length >= 0 && Version == WireLimits.Version && int.IsPow2(MinimumBlock) && int.IsPow2(PreferredBlock)
            && MinimumBlock <= 65_536 && PreferredBlock >= Math.Max(512, MinimumBlock) && MaximumBlock >= MinimumBlock
            && MaximumBlock % MinimumBlock == 0 && MaximumPayload is >= 4096 and <= WireLimits.MaximumPayload && MaximumPayload >= MinimumBlock
            && MaximumInFlight is >= 1 && MaximumConnections >= 1 && LeaseMilliseconds >= 1;

    public void Write(Span<byte> destination)
    {
        destination = destination[..Size];
        Magic.CopyTo(destination);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[8..], Version);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[10..], (ushort)Status);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[12..], (uint)Capabilities);
        Instance.TryWriteBytes(destination[16..]);
        BinaryPrimitives.WriteInt64LittleEndian(destination[32..], Length);
        ReadOnlySpan<int> numbers =
            [MinimumBlock, PreferredBlock, MaximumBlock, MaximumPayload, MaximumInFlight, MaximumConnections, LeaseMilliseconds, TextLength];
        for (int i = 0; i < numbers.Length; i++)
            BinaryPrimitives.WriteInt32LittleEndian(destination[(40 + (4 * i))..], numbers[i]);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[72..], TextChecksum);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[Checked..], Crc32C.Compute(destination[..Checked]));
    }

    private static int Number(ReadOnlySpan<byte> source, int at) => BinaryPrimitives.ReadInt32LittleEndian(source[at..]);
}
