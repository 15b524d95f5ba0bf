using System.Buffers.Binary;

namespace Farspan.Nbd.Protocol;

/// <summary>
/// Size and flags of an export: the answer to EXPORT_NAME (followed there by 124 zeroes unless NO_ZEROES was agreed), and the payload of the
/// EXPORT information after its type.
/// <code>
///  0  8  size in bytes
///  8  2  transmission flags
/// </code>
/// </summary>
internal readonly record struct ExportSummary(ulong ExportSize, NbdTransmissionFlags Flags)
{
    public const int Size = 10;

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, ExportSize);
        BinaryPrimitives.WriteUInt16BigEndian(destination[8..], (ushort)Flags);
    }

    /// <summary>False where the source is shorter than <see cref="Size"/>.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out ExportSummary summary)
    {
        summary = default;
        if (source.Length < Size)
            return false;
        summary = new(BinaryPrimitives.ReadUInt64BigEndian(source), (NbdTransmissionFlags)BinaryPrimitives.ReadUInt16BigEndian(source[8..]));
        return true;
    }
}
