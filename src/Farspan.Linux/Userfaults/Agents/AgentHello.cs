using System.Buffers.Binary;

namespace Farspan.Linux.Userfaults.Agents;

/// <summary>The body of HELLO.</summary>
/// <param name="LowestVersion">The lowest version that the client speaks.</param>
/// <param name="HighestVersion">The highest.</param>
internal readonly record struct AgentHello(ushort LowestVersion, ushort HighestVersion)
{
    public const int Size = 8;

    /// <summary>The version of docs/wire/uffd-agent.md.</summary>
    public const ushort Version = 1;

    public void Write(Span<byte> to)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(to, LowestVersion);
        BinaryPrimitives.WriteUInt16LittleEndian(to[2..], HighestVersion);
        to[4..Size].Clear();
    }

    public static bool TryRead(ReadOnlySpan<byte> from, out AgentHello hello)
    {
        hello = default;
        if (from.Length != Size)
            return false;
        hello = new AgentHello(BinaryPrimitives.ReadUInt16LittleEndian(from), BinaryPrimitives.ReadUInt16LittleEndian(from[2..]));
        return hello.LowestVersion <= hello.HighestVersion && BinaryPrimitives.ReadUInt32LittleEndian(from[4..]) == 0;
    }
}
