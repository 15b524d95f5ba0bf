using System.Buffers.Binary;

namespace Farspan.Nbd.Server;

/// <summary>
/// The payload of BLOCK_STATUS with extended headers, which limits the reply to some of the selected contexts: one at least, each once.
/// <code>
///  0  8  length of the range
///  8  4  each: context id
/// </code>
/// </summary>
internal static class BlockStatusFilter
{
    public const int FixedSize = 8;
    public const int IdSize = 4;

    /// <summary>False where the payload is not the range's length and ids of contexts out of <paramref name="selected"/>.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, ulong selected, out ulong length, out ulong contexts)
    {
        length = 0;
        contexts = 0;
        if (source.Length < FixedSize + IdSize || (source.Length - FixedSize) % IdSize != 0)
            return false;
        ulong named = 0;
        for (var ids = source[FixedSize..]; ids.Length > 0; ids = ids[IdSize..])
        {
            uint index = BinaryPrimitives.ReadUInt32BigEndian(ids) - 1;
            ulong bit = index < 64 ? 1UL << (int)index : 0;
            if ((bit & selected & ~named) == 0)
                return false;
            named |= bit;
        }

        length = BinaryPrimitives.ReadUInt64BigEndian(source);
        contexts = named;
        return true;
    }
}
