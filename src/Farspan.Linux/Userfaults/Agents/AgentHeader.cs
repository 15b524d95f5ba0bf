using System.Buffers.Binary;

namespace Farspan.Linux.Userfaults.Agents;

/// <summary>What every message begins with; docs/wire/uffd-agent.md.</summary>
/// <param name="Message">What it is about.</param>
/// <param name="Status">Of a reply: how it ended.</param>
/// <param name="Id">Chosen by the client; a reply repeats it.</param>
/// <param name="BodyLength">Bytes that follow.</param>
internal readonly record struct AgentHeader(AgentMessage Message, AgentStatus Status, uint Id, int BodyLength)
{
    public const int Size = 16;

    /// <summary>Bytes that follow a header at most, both ways.</summary>
    public const int LongestBody = 512;

    private static ReadOnlySpan<byte> Magic => "FSua"u8;

    public void Write(Span<byte> to)
    {
        Magic.CopyTo(to);
        BinaryPrimitives.WriteUInt16LittleEndian(to[4..], (ushort)Message);
        BinaryPrimitives.WriteUInt16LittleEndian(to[6..], (ushort)Status);
        BinaryPrimitives.WriteUInt32LittleEndian(to[8..], Id);
        BinaryPrimitives.WriteInt32LittleEndian(to[12..], BodyLength);
    }

    /// <summary>False where these bytes are no header, or it announces more than there may be.</summary>
    public static bool TryRead(ReadOnlySpan<byte> from, out AgentHeader header)
    {
        header = default;
        if (from.Length < Size || !from.StartsWith(Magic))
            return false;
        header = new AgentHeader(
            (AgentMessage)BinaryPrimitives.ReadUInt16LittleEndian(from[4..]),
            (AgentStatus)BinaryPrimitives.ReadUInt16LittleEndian(from[6..]),
            BinaryPrimitives.ReadUInt32LittleEndian(from[8..]),
            BinaryPrimitives.ReadInt32LittleEndian(from[12..]));
        return header.BodyLength is >= 0 and <= LongestBody;
    }
}
