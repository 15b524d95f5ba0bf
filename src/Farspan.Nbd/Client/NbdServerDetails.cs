namespace Farspan.Nbd.Client;

/// <summary>What a server tells of itself and its exports before any is opened.</summary>
public sealed record NbdServerDetails
{
    /// <summary>The style of negotiation: <c>newstyle-fixed</c>, <c>newstyle</c> or <c>oldstyle</c>.</summary>
    public required string Protocol { get; init; }

    /// <summary>Whether the connection is encrypted.</summary>
    public required bool IsEncrypted { get; init; }

    /// <summary>Whether replies may come in chunks.</summary>
    public required bool StructuredReplies { get; init; }

    /// <summary>Whether requests may be longer than 4 GiB.</summary>
    public required bool ExtendedHeaders { get; init; }

    /// <summary>The exports, the one asked for first.</summary>
    public required IReadOnlyList<NbdExportDetails> Exports { get; init; }
}
