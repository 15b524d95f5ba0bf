using System.Buffers.Binary;

namespace Farspan.Linux.Userfaults.Agents;

/// <summary>The body of the reply to HELLO.</summary>
/// <param name="IsReadOnly">Whether nothing may be mapped for writing.</param>
/// <param name="Length">Bytes of the backend.</param>
/// <param name="MostBytes">Bytes that a client may map.</param>
/// <param name="ChunkSize">Bytes that a fault brings.</param>
/// <param name="PageSize">Bytes of a page: what addresses and offsets are multiples of.</param>
internal readonly record struct AgentWelcome(bool IsReadOnly, long Length, long MostBytes, int ChunkSize, int PageSize)
{
    public const int Size = 32;

    private const uint ReadOnlyFlag = 1;

    public void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(to, AgentHello.Version);
        BinaryPrimitives.WriteUInt16LittleEndian(to[2..], 0);
        BinaryPrimitives.WriteUInt32LittleEndian(to[4..], IsReadOnly ? ReadOnlyFlag : 0);
        BinaryPrimitives.WriteInt64LittleEndian(to[8..], Length);
        BinaryPrimitives.WriteInt64LittleEndian(to[16..], MostBytes);
        BinaryPrimitives.WriteInt32LittleEndian(to[24..], ChunkSize);
        BinaryPrimitives.WriteInt32LittleEndian(to[28..], PageSize);
    }

    public static bool TryRead(ReadOnlySpan<byte> from, out AgentWelcome welcome)
    {
        welcome = default;
        if (from.Length != Size || BinaryPrimitives.ReadUInt16LittleEndian(from) != AgentHello.Version)
            return false;
        welcome = new AgentWelcome(
            (BinaryPrimitives.ReadUInt32LittleEndian(from[4..]) & ReadOnlyFlag) != 0,
            BinaryPrimitives.ReadInt64LittleEndian(from[8..]),
            BinaryPrimitives.ReadInt64LittleEndian(from[16..]),
            BinaryPrimitives.ReadInt32LittleEndian(from[24..]),
            BinaryPrimitives.ReadInt32LittleEndian(from[28..]));
        return welcome.Length >= 0 && welcome.MostBytes >= 0 && welcome.ChunkSize > 0 && welcome.PageSize > 0;
    }
}
