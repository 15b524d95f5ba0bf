using System.Buffers.Binary;

namespace Farspan.Nbd.Protocol;

/// <summary>
/// A simple reply, server to client; a successful READ is followed by its payload.
/// <code>
///  0  4  0x67446698
///  4  4  error
///  8  8  cookie
/// </code>
/// </summary>
internal readonly record struct SimpleReplyHeader(NbdErrno Error, ulong Cookie)
{
    public const int Size = 16;

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, NbdConstants.SimpleReplyMagic);
        BinaryPrimitives.WriteUInt32BigEndian(destination[4..], (uint)Error);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], Cookie);
    }

    /// <summary>False where the magic is wrong or the source is shorter than <see cref="Size"/>.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out SimpleReplyHeader header)
    {
        header = default;
        if (source.Length < Size || BinaryPrimitives.ReadUInt32BigEndian(source) != NbdConstants.SimpleReplyMagic)
            return false;
        header = new((NbdErrno)BinaryPrimitives.ReadUInt32BigEndian(source[4..]), BinaryPrimitives.ReadUInt64BigEndian(source[8..]));
        return true;
    }
}
