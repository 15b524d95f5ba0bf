using System.Buffers.Binary;

namespace Farspan.Nbd.Protocol;

/// <summary>
/// Payload of the OFFSET_HOLE chunk, the same in both header forms.
/// <code>
///  0  8  offset
///  8  4  length, not 0
/// </code>
/// </summary>
internal readonly record struct HoleChunk(ulong Offset, uint Length)
{
    public const int Size = 12;

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, Offset);
        BinaryPrimitives.WriteUInt32BigEndian(destination[8..], Length);
    }

    /// <summary>False where the source is not exactly <see cref="Size"/> bytes or the length is 0.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out HoleChunk chunk)
    {
        chunk = default;
        if (source.Length != Size)
            return false;
        chunk = new(BinaryPrimitives.ReadUInt64BigEndian(source), BinaryPrimitives.ReadUInt32BigEndian(source[8..]));
        return chunk.Length != 0;
    }
}
