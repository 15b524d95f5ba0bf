using System.Buffers.Binary;

namespace Farspan.Nbd.Protocol;

/// <summary>
/// A reply to an option, server to client; <paramref name="Length"/> bytes of data follow.
/// <code>
///  0  8  0x3e889045565a9
///  8  4  the option replied to
/// 12  4  reply type; bit 31 set = error
/// 16  4  length of the data
/// </code>
/// </summary>
internal readonly record struct OptionReplyHeader(NbdOption Option, NbdOptionReply Type, uint Length)
{
    public const int Size = 20;

    public bool IsError => (Type & NbdOptionReply.Error) != 0;

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, NbdConstants.OptionReplyMagic);
        BinaryPrimitives.WriteUInt32BigEndian(destination[8..], (uint)Option);
        BinaryPrimitives.WriteUInt32BigEndian(destination[12..], (uint)Type);
        BinaryPrimitives.WriteUInt32BigEndian(destination[16..], Length);
    }

    /// <summary>False where the magic is wrong or the source is shorter than <see cref="Size"/>.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out OptionReplyHeader header)
    {
        header = default;
        if (source.Length < Size || BinaryPrimitives.ReadUInt64BigEndian(source) != NbdConstants.OptionReplyMagic)
            return false;
        header = new(
            (NbdOption)BinaryPrimitives.ReadUInt32BigEndian(source[8..]),
            (NbdOptionReply)BinaryPrimitives.ReadUInt32BigEndian(source[12..]),
            BinaryPrimitives.ReadUInt32BigEndian(source[16..]));
        return true;
    }
}
