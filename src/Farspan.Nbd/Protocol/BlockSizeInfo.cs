using System.Buffers.Binary;
using System.Numerics;

namespace Farspan.Nbd.Protocol;

/// <summary>
/// Payload of the BLOCK_SIZE information after its type.
/// <code>
///  0  4  minimum block size
///  4  4  preferred block size
///  8  4  maximum payload size
/// </code>
/// </summary>
internal readonly record struct BlockSizeInfo(uint Minimum, uint Preferred, uint Maximum)
{
    public const int Size = 12;

    /// <summary>Whether the numbers keep the rules of the protocol's section "Size constraints".</summary>
    public bool IsValid
        => BitOperations.IsPow2(Minimum) && Minimum <= 65536
            && BitOperations.IsPow2(Preferred) && Preferred >= Math.Max(Minimum, 512)
            && Maximum >= Preferred;

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, Minimum);
        BinaryPrimitives.WriteUInt32BigEndian(destination[4..], Preferred);
        BinaryPrimitives.WriteUInt32BigEndian(destination[8..], Maximum);
    }

    /// <summary>False where the source is shorter than <see cref="Size"/>; ask <see cref="IsValid"/> for the numbers.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out BlockSizeInfo info)
    {
        info = default;
        if (source.Length < Size)
            return false;
        info = new(
            BinaryPrimitives.ReadUInt32BigEndian(source),
            BinaryPrimitives.ReadUInt32BigEndian(source[4..]),
            BinaryPrimitives.ReadUInt32BigEndian(source[8..]));
        return true;
    }
}
