using System.Buffers.Binary;

namespace Farspan.Nbd.Protocol;

/// <summary>
/// An option, client to server; <paramref name="Length"/> bytes of data follow.
/// <code>
///  0  8  "IHAVEOPT"
///  8  4  option
/// 12  4  length of the data
/// </code>
/// </summary>
internal readonly record struct OptionHeader(NbdOption Option, uint Length)
{
    public const int Size = 16;

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, NbdConstants.OptionMagic);
        BinaryPrimitives.WriteUInt32BigEndian(destination[8..], (uint)Option);
        BinaryPrimitives.WriteUInt32BigEndian(destination[12..], Length);
    }

    /// <summary>False where the magic is wrong or the source is shorter than <see cref="Size"/>.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out OptionHeader header)
    {
        header = default;
        if (source.Length < Size || BinaryPrimitives.ReadUInt64BigEndian(source) != NbdConstants.OptionMagic)
            return false;
        header = new((NbdOption)BinaryPrimitives.ReadUInt32BigEndian(source[8..]), BinaryPrimitives.ReadUInt32BigEndian(source[12..]));
        return true;
    }
}
