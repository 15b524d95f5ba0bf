using System.Buffers.Binary;

namespace Farspan.Nbd.Protocol;

/// <summary>
/// Data of a SERVER reply, one per export in answer to LIST.
/// <code>
///  0  4  length of the name
///  4  n  name, UTF-8
///  …  …  description, UTF-8, to the end
/// </code>
/// </summary>
internal readonly ref struct ExportListing
{
    public const int FixedSize = 4;

    private ExportListing(ReadOnlySpan<byte> name, ReadOnlySpan<byte> description)
    {
        Name = name;
        Description = description;
    }

    public ReadOnlySpan<byte> Name { get; }

    public ReadOnlySpan<byte> Description { get; }

    public static void Write(Span<byte> destination, ReadOnlySpan<byte> name, ReadOnlySpan<byte> description)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, (uint)name.Length);
        name.CopyTo(destination[FixedSize..]);
        description.CopyTo(destination[(FixedSize + name.Length)..]);
    }

    /// <summary>False where the length of the name passes the end of the data, or a string is not valid.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out ExportListing listing)
    {
        listing = default;
        if (!NbdFields.TryTakeText(ref source, out var name) || !NbdText.IsValid(name) || !NbdText.IsValid(source))
            return false;
        listing = new(name, source);
        return true;
    }
}
