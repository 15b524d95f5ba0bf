using System.Buffers.Binary;
using Farspan.Backends;

namespace Farspan.Wire.Protocol;

/// <summary>
/// One extent of the reply to EXTENTS; each starts where the one before ends, the first at the request's offset.
/// <code>
///  0  8  length
///  8  4  kind: 1 not allocated, 2 reads as zero
/// </code>
/// </summary>
internal readonly record struct ExtentRecord(long Length, ExtentKind Kind)
{
    public const int Size = 12;

    public static ExtentRecord Read(ReadOnlySpan<byte> source)
        => new(BinaryPrimitives.ReadInt64LittleEndian(source), (ExtentKind)(BinaryPrimitives.ReadUInt32LittleEndian(source[8..]) & 3));

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteInt64LittleEndian(destination, Length);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[8..], (uint)Kind);
    }
}
