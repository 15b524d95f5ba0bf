namespace Farspan.Cli.Serving;

/// <summary>A line that <c>farspan serve --json</c> prints.</summary>
/// <param name="Event"><c>ready</c>, <c>traffic</c> or <c>stopped</c>.</param>
internal sealed record ServeEvent(string Event)
{
    /// <summary>With <c>ready</c>: the URIs for clients, in the order of the listeners.</summary>
    public IReadOnlyList<string>? Uris { get; init; }

    /// <summary>With <c>ready</c>: what is served.</summary>
    public string? Backend { get; init; }

    /// <summary>With <c>ready</c>: its number of bytes.</summary>
    public long? Length { get; init; }

    /// <summary>With <c>ready</c>: whether it can only be read.</summary>
    public bool? ReadOnly { get; init; }

    /// <summary>With <c>ready</c>: this process.</summary>
    public int? ProcessId { get; init; }

    /// <summary>With <c>ready</c>, of a managed mount: the cache directory; null for a cache in memory.</summary>
    public string? Cache { get; init; }

    /// <summary>With <c>ready</c>, of a managed mount: bytes that were local by then.</summary>
    public long? LocalBytes { get; init; }

    /// <summary>With <c>traffic</c> and <c>stopped</c>: bytes from clients since the start, where they are counted.</summary>
    public long? Received { get; init; }

    /// <summary>With <c>traffic</c> and <c>stopped</c>: bytes to clients since the start, where they are counted.</summary>
    public long? Sent { get; init; }
}
