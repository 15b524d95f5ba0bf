using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Farspan.Backends;
using Farspan.Mounts;

namespace Farspan.Linux.Mounts;

/// <summary>A managed mount that the <c>farspan</c> program serves: asked by its <c>status</c>, and by what it prints when it ends.</summary>
internal sealed class ProgramManagedServer(ProgramMountServer server, string program) : IManagedServer
{
    public async ValueTask<ManagedMountStatus> GetStatusAsync(CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(program, ["status", server.Path, "--json"])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var process = Process.Start(start)!;
        var error = new ProgramOutput(process.StandardError);
        string answer = await process.StandardOutput.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        if (process.ExitCode != 0)
            throw new MountException($"The mount at {server.Path} does not tell its status: {await error.LastLineAsync()}");
        using var status = JsonDocument.Parse(answer);
        return Read(status.RootElement);
    }

    /// <summary>How many bytes it has pushed; fewer than any number where it does not say.</summary>
    public async Task<long> CountPushedAsync(CancellationToken cancellationToken)
    {
        try
        {
            return (await GetStatusAsync(cancellationToken)).PushedBytes;
        }
        catch (Exception error) when (error is MountException or JsonException)
        {
            return -1;
        }
    }

    public async Task<MountCloseReport?> GetReportAsync()
    {
        if (await server.LastOutputAsync() is not { } line || !line.Contains("unpushedBytes", StringComparison.Ordinal))
            return null;
        using var document = JsonDocument.Parse(line);
        var report = document.RootElement;
        string? error = Text(report, "error");
        return new MountCloseReport(report.GetProperty("unpushedBytes").GetInt64(), Text(report, "keptIn"), error is null ? null : new MountException(error));
    }

    /// <summary>The command line's options for those of a program.</summary>
    /// <exception cref="ArgumentException">One of them cannot be given to another process.</exception>
    internal static IEnumerable<string> Arguments(ManagedMountOptions options)
    {
        var defaults = new ManagedMountOptions();
        if (options.Progress is not null || options.Meter is not null || options.OpenCacheFile is not null || options.SyncDirectory is not null
            || options.RemoteName is not null || options.Hooks != defaults.Hooks || options.Clock != defaults.Clock || options.Lease != defaults.Lease
            || (options.PullOrder != PullOrder.Linear && options.PullOrder != PullOrder.Reverse) || options.BackgroundPull == BackgroundPull.ReadAhead)
        {
            throw new ArgumentException(
                "What another process serves takes no hooks, progress, meter, clock, lease, pull order or files of this one; leave them out, or mount with a registry.",
                nameof(options));
        }

        (string Name, string? Value)[] values =
        [
            ("--chunk", Number(options.ChunkSize)), ("--cache", options.CacheDirectory), ("--cache-size", Number(options.CacheSizeLimit)),
            ("--flush", options.Flush == FlushMode.Local ? "local" : "remote"), ("--pull-workers", Number(options.PullWorkers)),
            ("--push-interval", Time(options.PushInterval)), ("--dirty-limit", Number(options.DirtyHardLimit)), ("--memory", Number(options.MemoryBudget)),
            ("--outage", options.OnOutage switch { OutageBehavior.FailFast => "fail", OutageBehavior.ServeLocal => "local", _ => "wait" }),
            ("--outage-timeout", Time(options.OutageTimeout)), ("--close-timeout", Time(options.CloseTimeout)),
            ("--on-conflict", options.OnConflict switch { ConflictPolicy.Push => "push", ConflictPolicy.Discard => "discard", _ => null }),
        ];
        var arguments = values.Where(value => value.Value is not null).SelectMany(value => new[] { value.Name, value.Value! });
        if (options.BackgroundPull == BackgroundPull.Nothing)
            return arguments.Append("--no-pull");
        return options.PullOrder == PullOrder.Reverse ? arguments.Concat(["--pull-order", "reverse"]) : arguments;
    }

    private static ManagedMountStatus Read(JsonElement status) => new()
    {
        State = Text(status, "state") == "open" ? MountState.Open : MountState.Closing,
        Length = Number(status, "length"),
        ChunkSize = (int)Number(status, "chunkSize"),
        LocalBytes = Number(status, "localBytes"),
        DirtyBytes = Number(status, "dirtyBytes") - Number(status, "dirtyZeroBytes"),
        DirtyZeroBytes = Number(status, "dirtyZeroBytes"),
        PullingBytes = Number(status, "pullingBytes"),
        PushingBytes = Number(status, "pushingBytes"),
        PulledBytes = Number(status, "pulledBytes"),
        PushedBytes = Number(status, "pushedBytes"),
        PullRate = Number(status, "pullRate"),
        PushRate = Number(status, "pushRate"),
        Outage = Text(status, "outageSince") is { } since
            ? new MountOutage(DateTimeOffset.Parse(since, CultureInfo.InvariantCulture), new BackendException(BackendError.InputOutput, Text(status, "lastError") ?? "The remote does not answer.", isTransient: true))
            : null,
        LastError = Text(status, "lastError") is { } error ? new MountException(error) : null,
        LeaseEpoch = status.TryGetProperty("leaseEpoch", out var epoch) ? epoch.GetInt64() : null,
        IsFenced = status.TryGetProperty("isFenced", out var fenced) && fenced.GetBoolean(),
    };

    private static long Number(JsonElement status, string name) => status.TryGetProperty(name, out var value) ? value.GetInt64() : 0;

    private static string? Text(JsonElement status, string name) => status.TryGetProperty(name, out var value) ? value.GetString() : null;

    private static string? Number(long? value) => value?.ToString(CultureInfo.InvariantCulture);

    private static string Time(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{(long)Math.Ceiling(time.TotalMilliseconds)}ms");
}
