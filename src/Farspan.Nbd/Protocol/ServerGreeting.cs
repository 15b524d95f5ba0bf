using System.Buffers.Binary;

namespace Farspan.Nbd.Protocol;

/// <summary>
/// The first bytes on a connection, server to client (fixed newstyle). The client answers with its <see cref="NbdClientFlags"/>, 4 bytes.
/// <code>
///  0  8  "NBDMAGIC"
///  8  8  "IHAVEOPT"
/// 16  2  handshake flags
/// </code>
/// </summary>
internal readonly record struct ServerGreeting(NbdHandshakeFlags Flags)
{
    public const int Size = 18;

    /// <summary>Bytes of the client's flags that follow the greeting.</summary>
    public const int ClientFlagsSize = 4;

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, NbdConstants.ServerMagic);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], NbdConstants.OptionMagic);
        BinaryPrimitives.WriteUInt16BigEndian(destination[16..], (ushort)Flags);
    }

    /// <summary>False where a magic is wrong (an old-style server has another second one) or the source is shorter than <see cref="Size"/>.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out ServerGreeting greeting)
    {
        greeting = default;
        if (source.Length < Size
            || BinaryPrimitives.ReadUInt64BigEndian(source) != NbdConstants.ServerMagic
            || BinaryPrimitives.ReadUInt64BigEndian(source[8..]) != NbdConstants.OptionMagic)
        {
            return false;
        }

        greeting = new((NbdHandshakeFlags)BinaryPrimitives.ReadUInt16BigEndian(source[16..]));
        return true;
    }
}
