using System.Buffers.Binary;

namespace Farspan.Linux.Userfaults.Agents;

/// <summary>The body of the reply to STATUS. All but the faults are bytes.</summary>
internal readonly record struct AgentFigures(long Length, long Resident, long Unsaved, long Brought, long Saved, long Evicted, long Faults)
{
    public const int Size = 56;

    public void Write(Span<byte> to)
    {
        int at = 0;
        foreach (long figure in (ReadOnlySpan<long>)[Length, Resident, Unsaved, Brought, Saved, Evicted, Faults])
        {
            BinaryPrimitives.WriteInt64LittleEndian(to[at..], figure);
            at += sizeof(long);
        }
    }

    public static bool TryRead(ReadOnlySpan<byte> from, out AgentFigures figures)
    {
        figures = default;
        if (from.Length != Size)
            return false;
        figures = new AgentFigures(At(from, 0), At(from, 1), At(from, 2), At(from, 3), At(from, 4), At(from, 5), At(from, 6));
        return true;

        static long At(ReadOnlySpan<byte> from, int index) => BinaryPrimitives.ReadInt64LittleEndian(from[(index * sizeof(long))..]);
    }
}
