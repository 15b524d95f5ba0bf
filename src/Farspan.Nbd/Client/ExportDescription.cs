using Farspan.Nbd.Protocol;

namespace Farspan.Nbd.Client;

/// <summary>What was agreed with a server about the export and the way to talk about it.</summary>
internal sealed record ExportDescription
{
    public required long Size { get; init; }

    public required NbdTransmissionFlags Flags { get; init; }

    public bool StructuredReplies { get; init; }

    public bool ExtendedHeaders { get; init; }

    /// <summary>The id that the server gave <c>base:allocation</c>; null where it does not tell allocation.</summary>
    public uint? AllocationContext { get; init; }

    /// <summary>The maps of states that were agreed, by their names, and the ids that the server gave them; at most 32.</summary>
    public IReadOnlyList<(string Name, uint Id)> StateMaps { get; init; } = [];

    /// <summary>Bytes; 1 where the server said nothing.</summary>
    public int MinimumBlock { get; init; } = 1;

    /// <summary>Bytes; 4096 where the server said nothing.</summary>
    public int PreferredBlock { get; init; } = 4096;

    /// <summary>The most bytes that a request may carry; 32 MiB where the server said nothing.</summary>
    public uint MaximumBlock { get; init; } = 32 << 20;

    public bool Can(NbdTransmissionFlags flag) => (Flags & flag) != 0;

    /// <summary>The difference that makes another export of it, or null.</summary>
    public string? DifferenceFrom(ExportDescription before)
    {
        if (Size != before.Size)
            return $"its size was {before.Size} bytes and is {Size} now";
        const NbdTransmissionFlags Promised = NbdTransmissionFlags.SendFlush | NbdTransmissionFlags.SendTrim
            | NbdTransmissionFlags.SendWriteZeroes | NbdTransmissionFlags.SendFastZero;
        if (!before.Can(NbdTransmissionFlags.ReadOnly) && Can(NbdTransmissionFlags.ReadOnly))
            return "it could be written and is read-only now";
        var missing = before.Flags & Promised & ~Flags;
        if (missing != 0)
            return $"it does not offer {missing} any more";
        if (MinimumBlock > before.MinimumBlock || MaximumBlock < before.MaximumBlock)
            return "its block sizes are narrower now";
        if (before.StateMaps.Any(map => StateMaps.All(other => other.Name != map.Name)))
            return "it does not tell all its maps of states any more";
        return before.AllocationContext is not null && AllocationContext is null ? "it does not tell its allocation any more" : null;
    }
}
