using System.Buffers.Binary;

namespace Farspan.Nbd.Protocol;

/// <summary>
/// Payload of the BLOCK_STATUS (compact) and BLOCK_STATUS_EXT (extended headers) chunks: a context and descriptors of consecutive extents.
/// <code>
/// compact                       extended
///  0  4  context id              0  4  context id
///                                4  4  number of descriptors
///  each: 4 length, 4 flags       each: 8 length, 8 flags
/// </code>
/// </summary>
internal readonly ref struct BlockStatusChunk
{
    private readonly ReadOnlySpan<byte> _descriptors;
    private readonly bool _extended;

    private BlockStatusChunk(uint contextId, ReadOnlySpan<byte> descriptors, bool extended)
    {
        ContextId = contextId;
        _descriptors = descriptors;
        _extended = extended;
    }

    public uint ContextId { get; }

    public int Count => _descriptors.Length / DescriptorSize(_extended);

    public (ulong Length, ulong Flags) this[int index]
    {
        get
        {
            var descriptor = _descriptors.Slice(index * DescriptorSize(_extended), DescriptorSize(_extended));
            return _extended
                ? (BinaryPrimitives.ReadUInt64BigEndian(descriptor), BinaryPrimitives.ReadUInt64BigEndian(descriptor[8..]))
                : (BinaryPrimitives.ReadUInt32BigEndian(descriptor), BinaryPrimitives.ReadUInt32BigEndian(descriptor[4..]));
        }
    }

    public static int HeadSize(bool extended) => extended ? 8 : 4;

    public static int DescriptorSize(bool extended) => extended ? 16 : 8;

    public static void WriteHead(Span<byte> destination, bool extended, uint contextId, int count)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, contextId);
        if (extended)
            BinaryPrimitives.WriteUInt32BigEndian(destination[4..], (uint)count);
    }

    public static void WriteDescriptor(Span<byte> destination, bool extended, ulong length, ulong flags)
    {
        if (extended)
        {
            BinaryPrimitives.WriteUInt64BigEndian(destination, length);
            BinaryPrimitives.WriteUInt64BigEndian(destination[8..], flags);
        }
        else
        {
            BinaryPrimitives.WriteUInt32BigEndian(destination, checked((uint)length));
            BinaryPrimitives.WriteUInt32BigEndian(destination[4..], checked((uint)flags));
        }
    }

    /// <summary>False where there is no descriptor, the payload is no whole number of them, the count is another, or a length is 0.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, bool extended, out BlockStatusChunk chunk)
    {
        chunk = default;
        int head = HeadSize(extended);
        int each = DescriptorSize(extended);
        if (source.Length < head + each || (source.Length - head) % each != 0)
            return false;
        var read = new BlockStatusChunk(BinaryPrimitives.ReadUInt32BigEndian(source), source[head..], extended);
        if (extended && BinaryPrimitives.ReadUInt32BigEndian(source[4..]) != (uint)read.Count)
            return false;
        for (int i = 0; i < read.Count; i++)
        {
            if (read[i].Length == 0)
                return false;
        }

        chunk = read;
        return true;
    }
}
