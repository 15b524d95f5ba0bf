using System.Buffers.Binary;

namespace Farspan.Nbd.Server;

/// <summary>
/// The payload of BLOCK_STATUS with extended headers, which limits the reply to some contexts. As an export has one context, its id must
/// stand there once.
/// <code>
///  0  8  length of the range
///  8  4  each: context id
/// </code>
/// </summary>
internal static class BlockStatusFilter
{
    public const int Size = 12;

    /// <summary>False where the payload is not the range's length and the one context.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out ulong length)
    {
        length = 0;
        if (source.Length != Size || BinaryPrimitives.ReadUInt32BigEndian(source[8..]) != OptionNegotiation.AllocationContextId)
            return false;
        length = BinaryPrimitives.ReadUInt64BigEndian(source);
        return true;
    }
}
