namespace Farspan.Cli.Migration;

/// <summary>A line that <c>farspan seed --json</c> and <c>farspan leech --json</c> print. Sizes are in bytes, times in milliseconds.</summary>
/// <param name="Event">
/// Of a seed <c>ready</c>, <c>leecher</c>, <c>not-handed-over</c>, <c>given-up</c>, <c>handed-over</c>, <c>taken-back</c>, <c>needed</c> (the destination
/// still needs this host), <c>released</c>, <c>stopped</c>. Of a leech <c>ready</c>, <c>progress</c>, <c>trouble</c>, <c>received</c>, <c>completed</c>,
/// <c>given-up</c>, <c>stopped</c>; of one that may be leeched <c>seeding</c> after <c>completed</c>, and those of a seed from then on.
/// </param>
internal sealed record MoveEvent(string Event)
{
    /// <summary>The store.</summary>
    public string? Backend { get; init; }

    /// <summary>The mounted file; null where nothing is mounted.</summary>
    public string? Target { get; init; }

    /// <summary>Where leechers find the region.</summary>
    public IReadOnlyList<string>? Uris { get; init; }

    /// <summary>Where it comes from.</summary>
    public string? Source { get; init; }

    /// <summary>Bytes of the region.</summary>
    public long? Length { get; init; }

    /// <summary>What this host is to the region, as <c>farspan region</c> says it.</summary>
    public string? Role { get; init; }

    /// <summary>Which region.</summary>
    public Guid? Region { get; init; }

    /// <summary>The number of its ownership.</summary>
    public long? Epoch { get; init; }

    /// <summary>The move.</summary>
    public Guid? Token { get; init; }

    /// <summary>Bytes that the destination does not have; about, where the source says it.</summary>
    public long? Missing { get; init; }

    /// <summary>Bytes that have come, or were sent, since this process began.</summary>
    public long? Moved { get; init; }

    /// <summary>Bytes a second, lately.</summary>
    public long? Rate { get; init; }

    /// <summary>Rounds so far.</summary>
    public int? Rounds { get; init; }

    /// <summary>Time that the program stood still.</summary>
    public double? Pause { get; init; }

    /// <summary>This process.</summary>
    public int? ProcessId { get; init; }

    /// <summary>What went wrong.</summary>
    public string? Error { get; init; }
}
