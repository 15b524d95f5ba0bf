namespace Farspan.Cli.Agents;

/// <summary>A line that <c>farspan uffd-agent --json</c> prints.</summary>
/// <param name="Event"><c>ready</c>, <c>client</c>, <c>gone</c> or <c>stopped</c>.</param>
internal sealed record AgentEvent(string Event)
{
    /// <summary>With <c>ready</c>: where clients connect.</summary>
    public string? Listen { get; init; }

    /// <summary>With <c>ready</c>: what is served.</summary>
    public string? Backend { get; init; }

    /// <summary>With <c>ready</c>: its number of bytes. With <c>client</c> and <c>gone</c>: bytes that the client has mapped.</summary>
    public long? Length { get; init; }

    /// <summary>With <c>ready</c>: whether it can only be read. With <c>client</c> and <c>gone</c>: whether the client can.</summary>
    public bool? ReadOnly { get; init; }

    /// <summary>With <c>ready</c>: this process. With <c>client</c> and <c>gone</c>: the client's.</summary>
    public int? ProcessId { get; init; }

    /// <summary>With <c>ready</c>, of a managed mount: the cache directory; null for a cache in memory.</summary>
    public string? Cache { get; init; }

    /// <summary>With <c>client</c> and <c>gone</c>: its number, from 1.</summary>
    public long? Client { get; init; }

    /// <summary>With <c>client</c> and <c>gone</c>: its user.</summary>
    public uint? UserId { get; init; }

    /// <summary>With <c>client</c> and <c>gone</c>: the first byte that it has mapped.</summary>
    public long? Offset { get; init; }

    /// <summary>With <c>gone</c>: bytes that were brought for it.</summary>
    public long? Brought { get; init; }

    /// <summary>With <c>gone</c>: bytes that it wrote and that were saved.</summary>
    public long? Saved { get; init; }

    /// <summary>With <c>gone</c>: bytes that it wrote and that are lost.</summary>
    public long? Lost { get; init; }

    /// <summary>With <c>gone</c>: its page faults.</summary>
    public long? Faults { get; init; }

    /// <summary>With <c>gone</c>: why, where it did not close.</summary>
    public string? Error { get; init; }
}
