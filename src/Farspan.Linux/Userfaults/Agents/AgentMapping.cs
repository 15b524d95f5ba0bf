using System.Buffers.Binary;

namespace Farspan.Linux.Userfaults.Agents;

/// <summary>The body of MAP; the userfault descriptor and the file of shared memory come with the message, in this order.</summary>
/// <param name="Address">Where the client has mapped the file.</param>
/// <param name="Offset">The first byte of the backend that is to be there; a page's.</param>
/// <param name="Length">Bytes of the backend.</param>
/// <param name="IsWritable">Whether what the client writes is to be saved.</param>
internal readonly record struct AgentMapping(ulong Address, long Offset, long Length, bool IsWritable)
{
    public const int Size = 32;

    private const uint WritableFlag = 1;

    public void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(to, Address);
        BinaryPrimitives.WriteInt64LittleEndian(to[8..], Offset);
        BinaryPrimitives.WriteInt64LittleEndian(to[16..], Length);
        BinaryPrimitives.WriteUInt32LittleEndian(to[24..], IsWritable ? WritableFlag : 0);
        BinaryPrimitives.WriteUInt32LittleEndian(to[28..], 0);
    }

    public static bool TryRead(ReadOnlySpan<byte> from, out AgentMapping mapping)
    {
        mapping = default;
        if (from.Length != Size)
            return false;
        uint flags = BinaryPrimitives.ReadUInt32LittleEndian(from[24..]);
        mapping = new AgentMapping(
            BinaryPrimitives.ReadUInt64LittleEndian(from),
            BinaryPrimitives.ReadInt64LittleEndian(from[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(from[16..]),
            flags == WritableFlag);
        return flags <= WritableFlag && BinaryPrimitives.ReadUInt32LittleEndian(from[28..]) == 0;
    }
}
