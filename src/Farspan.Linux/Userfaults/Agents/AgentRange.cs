using System.Buffers.Binary;

namespace Farspan.Linux.Userfaults.Agents;

/// <summary>The body of PREFETCH.</summary>
/// <param name="Offset">From the first byte of the client's memory.</param>
/// <param name="Length">Bytes.</param>
internal readonly record struct AgentRange(long Offset, long Length)
{
    public const int Size = 16;

    public void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteInt64LittleEndian(to, Offset);
        BinaryPrimitives.WriteInt64LittleEndian(to[8..], Length);
    }

    public static bool TryRead(ReadOnlySpan<byte> from, out AgentRange range)
    {
        range = default;
        if (from.Length != Size)
            return false;
        range = new AgentRange(BinaryPrimitives.ReadInt64LittleEndian(from), BinaryPrimitives.ReadInt64LittleEndian(from[8..]));
        return true;
    }
}
