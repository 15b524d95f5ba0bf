namespace Farspan.Nbd.Client;

/// <summary>An export as a server tells it.</summary>
public sealed record NbdExportDetails
{
    /// <summary>The name to ask for it by; empty for the default export.</summary>
    public required string Name { get; init; }

    /// <summary>The server's words about it, or null.</summary>
    public string? Description { get; init; }

    /// <summary>Bytes; null where the server only lists names.</summary>
    public long? Size { get; init; }

    /// <summary>Whether it can only be read.</summary>
    public bool IsReadOnly { get; init; }

    /// <summary>Whether a flush on one connection covers all, so that several may be used.</summary>
    public bool CanMultiConnection { get; init; }

    /// <summary>Whether writes can be made durable.</summary>
    public bool CanFlush { get; init; }

    /// <summary>Whether a single write can be made durable.</summary>
    public bool CanForceUnitAccess { get; init; }

    /// <summary>Whether storage can be given up.</summary>
    public bool CanTrim { get; init; }

    /// <summary>Whether a range can be zeroed without sending zeroes.</summary>
    public bool CanZero { get; init; }

    /// <summary>Whether a zero request that would be slow can be refused quickly.</summary>
    public bool CanZeroFast { get; init; }

    /// <summary>Whether a range can be fetched into the server's cache.</summary>
    public bool CanCache { get; init; }

    /// <summary>Whether a read can be asked for in one piece.</summary>
    public bool CanDontFragment { get; init; }

    /// <summary>Whether the store is a spinning disk.</summary>
    public bool IsRotational { get; init; }

    /// <summary>Bytes: offsets and lengths must be multiples; null where the server did not tell its block sizes.</summary>
    public int? MinimumBlockSize { get; init; }

    /// <summary>Bytes: what the server likes; null where it did not tell.</summary>
    public int? PreferredBlockSize { get; init; }

    /// <summary>Bytes: the most that a request may carry; null where the server did not tell.</summary>
    public uint? MaximumBlockSize { get; init; }

    /// <summary>The metadata contexts it has, such as <c>base:allocation</c>.</summary>
    public IReadOnlyList<string> Contexts { get; init; } = [];
}
