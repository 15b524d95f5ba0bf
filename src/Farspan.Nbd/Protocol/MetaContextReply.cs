using System.Buffers.Binary;

namespace Farspan.Nbd.Protocol;

/// <summary>
/// Data of a META_CONTEXT reply: the id (0 when only listed), then the context's name to the end.
/// <code>
///  0  4  id
///  4  n  name, UTF-8
/// </code>
/// </summary>
internal readonly ref struct MetaContextReply
{
    public const int FixedSize = 4;

    private MetaContextReply(uint id, ReadOnlySpan<byte> name)
    {
        Id = id;
        Name = name;
    }

    public uint Id { get; }

    public ReadOnlySpan<byte> Name { get; }

    public static void Write(Span<byte> destination, uint id, ReadOnlySpan<byte> name)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, id);
        name.CopyTo(destination[FixedSize..]);
    }

    /// <summary>False where the data is too short to hold an id, or the name is no valid string.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out MetaContextReply reply)
    {
        reply = default;
        if (!NbdFields.TryTakeUInt32(ref source, out uint id) || !NbdText.IsValid(source))
            return false;
        reply = new(id, source);
        return true;
    }
}
