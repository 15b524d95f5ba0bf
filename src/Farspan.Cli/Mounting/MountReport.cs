using Farspan.Cli.Migration;
using Farspan.Migration;
using Farspan.Mounts;
using Farspan.Units;

namespace Farspan.Cli.Mounting;

/// <summary>What <c>farspan status</c> tells of one mount; sizes are in bytes, rates in bytes a second. What a direct mount has not is null.</summary>
internal sealed record MountReport
{
    /// <summary>The TARGET of the command line, as an absolute path; of a mount without a file the URI at which clients find it.</summary>
    public required string Target { get; init; }

    /// <summary>The mounted file; of a mount without one the same as <see cref="Target"/>.</summary>
    public required string Path { get; init; }

    /// <summary>The URI that is mounted.</summary>
    public required string Remote { get; init; }

    /// <summary>The process that serves it.</summary>
    public required int ProcessId { get; init; }

    /// <summary><c>managed</c> or <c>direct</c>; <c>seed</c> or <c>leech</c> of a region that moves.</summary>
    public required string Kind { get; init; }

    /// <summary><c>open</c>, <c>closing</c>, <c>silent</c> (its process does not answer) or <c>dead</c> (it has died).</summary>
    public required string State { get; init; }

    /// <summary>Whether it can only be read.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Bytes of the region; null where nobody answers.</summary>
    public long? Length { get; init; }

    /// <summary>Bytes of a chunk.</summary>
    public int? ChunkSize { get; init; }

    /// <summary>Bytes that are local.</summary>
    public long? LocalBytes { get; init; }

    /// <summary>Bytes written, or made zero, and not yet durable at the remote.</summary>
    public long? DirtyBytes { get; init; }

    /// <summary>Those of <see cref="DirtyBytes"/> that were made zero.</summary>
    public long? DirtyZeroBytes { get; init; }

    /// <summary>Bytes of pulls in flight.</summary>
    public long? PullingBytes { get; init; }

    /// <summary>Bytes of pushes in flight.</summary>
    public long? PushingBytes { get; init; }

    /// <summary>Bytes pulled since the mount began.</summary>
    public long? PulledBytes { get; init; }

    /// <summary>Bytes pushed since the mount began.</summary>
    public long? PushedBytes { get; init; }

    /// <summary>What pulls bring, lately.</summary>
    public long? PullRate { get; init; }

    /// <summary>What pushes take, lately.</summary>
    public long? PushRate { get; init; }

    /// <summary>Since when the remote does not answer; null where it does.</summary>
    public DateTimeOffset? OutageSince { get; init; }

    /// <summary>The last error of the remote or the cache that no program was given.</summary>
    public string? LastError { get; init; }

    /// <summary>The epoch of the remote's lease.</summary>
    public long? LeaseEpoch { get; init; }

    /// <summary>Whether another writer has taken the remote over.</summary>
    public bool? IsFenced { get; init; }

    /// <summary>What a flush means: <c>remote</c> or <c>local</c>.</summary>
    public string? Flush { get; init; }

    /// <summary>The cache directory; null for a cache in memory.</summary>
    public string? Cache { get; init; }

    /// <summary>The URIs at which it is served to clients.</summary>
    public IReadOnlyList<string>? Listens { get; init; }

    /// <summary>The command that goes on with what a mount whose process has died left in its cache directory.</summary>
    public string? ResumeCommand { get; init; }

    /// <summary>What this host is to a region that moves, as <c>farspan region</c> says it.</summary>
    public string? Role { get; init; }

    /// <summary>Which region moves.</summary>
    public Guid? Region { get; init; }

    /// <summary>The number of its ownership.</summary>
    public long? Epoch { get; init; }

    /// <summary>The move.</summary>
    public Guid? Token { get; init; }

    /// <summary>Bytes of the region that its destination does not have.</summary>
    public long? MissingBytes { get; init; }

    /// <summary>What is known of a mount without its process.</summary>
    public static MountReport Of(MountRecord record, string state) => new()
    {
        Target = record.Target,
        Path = record.Path,
        Remote = record.Remote,
        ProcessId = record.ProcessId,
        Kind = record.Kind ?? (record.IsManaged ? "managed" : "direct"),
        State = state,
        ReadOnly = record.ReadOnly,
        Cache = record.Cache,
        Listens = record.Listens,
        ResumeCommand = state == "dead" ? record.ResumeCommand : null,
    };

    /// <summary>The same with what a managed mount knows.</summary>
    public MountReport With(ManagedMountStatus status, FlushMode flush) => this with
    {
        Length = status.Length,
        ChunkSize = status.ChunkSize,
        LocalBytes = status.LocalBytes,
        DirtyBytes = status.DirtyBytes + status.DirtyZeroBytes,
        DirtyZeroBytes = status.DirtyZeroBytes,
        PullingBytes = status.PullingBytes,
        PushingBytes = status.PushingBytes,
        PulledBytes = status.PulledBytes,
        PushedBytes = status.PushedBytes,
        PullRate = (long)status.PullRate,
        PushRate = (long)status.PushRate,
        OutageSince = status.Outage?.Since,
        LastError = status.Outage?.LastError.Message ?? status.LastError?.Message,
        LeaseEpoch = status.LeaseEpoch,
        IsFenced = status.IsFenced,
        Flush = flush == FlushMode.Local ? "local" : "remote",
    };

    /// <summary>The same with what the record of a region says.</summary>
    public MountReport With(RegionRecord region) => this with
    {
        Role = RegionText.Of(region.Role),
        Region = region.Region == Guid.Empty ? null : region.Region,
        Epoch = region.Epoch,
        Token = region.Token == Guid.Empty ? null : region.Token,
    };

    /// <summary>Lines for people: a name and a value each.</summary>
    public IEnumerable<(string Name, string Value)> Lines()
    {
        yield return ("mount", $"{Kind}{(ReadOnly ? ", read-only" : "")}, {State}, process {ProcessId}");
        if (Path.StartsWith('/'))
            yield return ("file", Path);
        if (Listens is not null)
            yield return ("served at", string.Join(", ", Listens));
        yield return (Role is null ? "remote" : "store", Remote);
        if (Length is { } length)
            yield return ("size", ByteSize.Format(length));
        if (Role is not null)
            yield return ("region", $"{Region?.ToString() ?? "not known yet"}, epoch {Epoch}, {Role}{(MissingBytes is { } missing ? $", {ByteSize.Format(missing)} missing at the destination" : "")}");
        if (Role is not null && LastError is not null)
            yield return ("last error", LastError);
        if (LocalBytes is not { } local)
            yield break;
        yield return ("local", $"{ByteSize.Format(local)}{(Length > 0 ? $" ({100.0 * local / Length:0.#} %)" : "")} in {Cache ?? "memory"}, chunks of {ByteSize.Format(ChunkSize!.Value)}");
        yield return ("dirty", $"{ByteSize.Format(DirtyBytes!.Value)}, flush is {Flush}");
        yield return ("pulls", Traffic(PullingBytes, PulledBytes, PullRate));
        yield return ("pushes", Traffic(PushingBytes, PushedBytes, PushRate));
        yield return ("outage", OutageSince is { } since ? $"since {since.ToLocalTime():yyyy-MM-dd HH:mm:ss}" : "none");
        if (LastError is not null)
            yield return ("last error", LastError);
        if (LeaseEpoch is not null)
            yield return ("lease", $"epoch {LeaseEpoch}{(IsFenced == true ? ", lost to another writer: nothing can be written any more" : "")}");
    }

    private static string Traffic(long? inFlight, long? done, long? rate)
        => $"{ByteSize.Format(inFlight!.Value)} in flight, {ByteSize.Format(done!.Value)} done, {ByteSize.Format(rate!.Value)}/s";
}
