using System.CommandLine;
using System.Numerics;
using Farspan.Cli.Mounting;
using Farspan.Mounts;
using Farspan.Mounts.Tracing;
using Farspan.Units;

namespace Farspan.Cli.Commands;

/// <summary>The options of a managed mount, as <c>mount</c> and <c>serve</c> have them.</summary>
internal sealed class ManagedOptions
{
    private const int LargestChunk = 32 << 20;

    private readonly Option<bool> _choice;
    private readonly bool _isManagedUnlessChosen;
    private readonly Option<string> _cache = new("--cache") { Description = "Directory that keeps what is local, and what is not pushed yet, over a crash; made where it is absent. Without it the cache is in memory: after a crash the remote has all that was flushed, and nothing else is kept.", HelpName = "DIR" };
    private readonly Option<string> _cacheSize = Text("--cache-size", "SIZE", "Bytes that the cache may hold; what is not dirty makes room. At least 16 chunks. Default: no limit.");
    private readonly Option<string> _flush = Text("--flush", "remote|local", "What fsync means: durable at the remote; or durable in the cache directory, and pushed later. Default: remote.");
    private readonly Option<string> _chunk = Text("--chunk", "SIZE", "Unit of the cache: a power of two from 4KiB to 32MiB. Default: 64KiB.");
    private readonly Option<string> _pullOrder = Text("--pull-order", "linear|reverse|FILE", "The order in which everything is pulled in the background; that of a recorded trace, and then the rest. Default: linear.");
    private readonly Option<string> _pullFirst = Text("--pull-first", "RANGES", "What is pulled before all else, such as 0-1MiB,-4MiB (the last 4 MiB).");
    private readonly Option<string> _pullWorkers = Text("--pull-workers", "N", "Background pulls at once. Default: as many as make the line faster.");
    private readonly Option<bool> _noPull = new("--no-pull") { Description = "Pull only what is asked for." };
    private readonly Option<string> _pushInterval = Text("--push-interval", "TIME", "How often what was written is pushed. Default: 5s.");
    private readonly Option<string> _outage = Text("--outage", "wait|fail|local", "What an access does that needs the remote while that does not answer: wait for it, fail at once, or fail while flushes go to the cache directory. Default: wait.");
    private readonly Option<string> _outageTimeout = Text("--outage-timeout", "TIME", "How long such an access waits before it fails. Default: 30s.");
    private readonly Option<string> _closeTimeout = Text("--close-timeout", "TIME", "How long an unmount goes on with what is left while nothing of it reaches the remote. Default: 60s.");
    private readonly Option<string> _memory = Text("--memory", "SIZE", "Bytes of all buffers for pulls and pushes. At least 1MiB and four chunks. Default: 64MiB.");
    private readonly Option<string> _dirtyLimit = Text("--dirty-limit", "SIZE", "Bytes not pushed yet beyond which writers wait. Default: 512MiB.");
    private readonly Option<string> _onConflict = Text("--on-conflict", "refuse|push|discard", "What becomes of bytes of the cache directory that were not pushed, when another writer may have changed the remote since: refuse to mount, push them over what he wrote, or give them up. Default: refuse.");

    private ManagedOptions(Option<bool> choice, bool isManagedUnlessChosen)
    {
        _choice = choice;
        _isManagedUnlessChosen = isManagedUnlessChosen;
    }

    /// <summary>All of them; the first is the one that chooses between a managed mount and none.</summary>
    public IReadOnlyList<Option> All =>
    [
        _choice, _cache, _cacheSize, _flush, _chunk, _pullOrder, _pullFirst, _pullWorkers, _noPull, _pushInterval, _outage, _outageTimeout,
        _closeTimeout, _memory, _dirtyLimit, _onConflict,
    ];

    /// <summary>Those of <c>mount</c>, which is managed unless told.</summary>
    public static ManagedOptions ForMount()
        => new(new("--direct") { Description = "No local cache: every access goes to the remote." }, isManagedUnlessChosen: true);

    /// <summary>Those of <c>serve</c>, which is managed where told.</summary>
    public static ManagedOptions ForServe()
        => new(
            new("--managed") { Description = "Serve a managed mount of BACKEND: a local cache holds what clients read and write, the rest is pulled in the background, and what was written is pushed. The options that follow are for it; fsync stands for a client's flush." },
            isManagedUnlessChosen: false);

    /// <summary>Those of <c>uffd-agent</c>, which is managed where told.</summary>
    public static ManagedOptions ForAgent()
        => new(
            new("--managed") { Description = "Serve a managed mount of BACKEND: a local cache holds what clients save, the rest is pulled in the background, and what was saved is pushed. The options that follow are for it; fsync stands for a client's flush." },
            isManagedUnlessChosen: false);

    /// <summary>What they say; null where there is to be no managed mount.</summary>
    /// <exception cref="FormatException">A value is wrong, or two do not go together.</exception>
    public ManagedSettings? Read(ParseResult result, TimeSpan requestTimeout)
    {
        if (result.GetValue(_choice) == _isManagedUnlessChosen)
        {
            string? other = All.Skip(1).FirstOrDefault(option => result.GetResult(option) is { Implicit: false })?.Name;
            return other is null ? null : throw new FormatException($"{other} is for a managed mount: {(_isManagedUnlessChosen ? "leave out" : "give")} {_choice.Name}");
        }

        var defaults = new ManagedMountOptions();
        long chunk = Size(result, _chunk, 4096, LargestChunk) ?? defaults.ChunkSize;
        if (!BitOperations.IsPow2(chunk))
            throw new FormatException($"--chunk {result.GetValue(_chunk)}: give a power of two");
        long dirtyLimit = Size(result, _dirtyLimit, chunk) ?? defaults.DirtyHardLimit;
        var options = defaults with
        {
            ChunkSize = (int)chunk,
            CacheDirectory = result.GetValue(_cache) is { } cache ? Path.GetFullPath(cache) : null,
            CacheSizeLimit = Size(result, _cacheSize, 16 * chunk),
            Flush = Choice(result, _flush, [("remote", FlushMode.Remote), ("local", FlushMode.Local)]),
            BackgroundPull = result.GetValue(_noPull) ? BackgroundPull.Nothing : BackgroundPull.Everything,
            PullWorkers = Workers(result),
            PushInterval = Time(result, _pushInterval) ?? defaults.PushInterval,
            OnOutage = Choice(result, _outage, [("wait", OutageBehavior.Wait), ("fail", OutageBehavior.FailFast), ("local", OutageBehavior.ServeLocal)]),
            OutageTimeout = Time(result, _outageTimeout) ?? defaults.OutageTimeout,
            CloseTimeout = Time(result, _closeTimeout) ?? defaults.CloseTimeout,
            OnConflict = Choice(result, _onConflict, [("refuse", ConflictPolicy.Refuse), ("push", ConflictPolicy.Push), ("discard", ConflictPolicy.Discard)]),
            RequestTimeout = requestTimeout,
            MemoryBudget = Size(result, _memory, Math.Max(1 << 20, 4 * chunk)),
            DirtyHardLimit = dirtyLimit,
            DirtySoftLimit = Math.Clamp(defaults.DirtySoftLimit, chunk, dirtyLimit),
        };
        if (options.CacheDirectory is null && (options.Flush == FlushMode.Local || options.OnOutage == OutageBehavior.ServeLocal))
            throw new FormatException($"{(options.Flush == FlushMode.Local ? "--flush" : "--outage")} local needs a directory that keeps what is flushed: give --cache DIR");
        return Ordered(result, new ManagedSettings { Options = options });
    }

    private static Option<string> Text(string name, string value, string description) => new(name) { Description = description, HelpName = value };

    private static long? Size(ParseResult result, Option<string> option, long least, long most = long.MaxValue)
    {
        if (result.GetValue(option) is not { } text)
            return null;
        long size = ByteSize.TryParse(text, out long bytes) ? bytes : throw new FormatException($"{option.Name} '{text}' is no size; give one such as 64KiB or 1GiB");
        string limit = most == long.MaxValue ? $"at least {ByteSize.Format(least)}" : $"{ByteSize.Format(least)} to {ByteSize.Format(most)}";
        return size >= least && size <= most ? size : throw new FormatException($"{option.Name} {text}: give {limit}");
    }

    private static TimeSpan? Time(ParseResult result, Option<string> option)
    {
        if (result.GetValue(option) is not { } text)
            return null;
        var time = DurationText.TryParse(text, out var parsed) ? parsed : throw new FormatException($"{option.Name} '{text}' is no duration; give one such as 250ms or 5s");
        return time >= TimeSpan.FromMilliseconds(10) && time <= TimeSpan.FromDays(1) ? time : throw new FormatException($"{option.Name} {text}: give 10ms to 24h");
    }

    private static PullTrace LoadTrace(string file)
    {
        try
        {
            return PullTrace.Load(file);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new FormatException($"--pull-order: the trace {file} cannot be read: {error.Message}", error);
        }
    }

    private static T Choice<T>(ParseResult result, Option<string> option, (string Name, T Value)[] choices)
    {
        if (result.GetValue(option) is not { } text)
            return choices[0].Value;
        foreach (var (name, value) in choices)
        {
            if (name == text)
                return value;
        }

        throw new FormatException($"{option.Name} '{text}': give {string.Join(" or ", choices.Select(choice => choice.Name))}");
    }

    private int? Workers(ParseResult result)
    {
        if (result.GetValue(_pullWorkers) is not { } text)
            return null;
        return int.TryParse(text, out int workers) && workers is >= 1 and <= 65_536 ? workers : throw new FormatException($"--pull-workers {text}: give 1 to 65536");
    }

    private ManagedSettings Ordered(ParseResult result, ManagedSettings settings)
    {
        if (result.GetValue(_noPull) && (result.GetValue(_pullOrder) ?? result.GetValue(_pullFirst)) is not null)
            throw new FormatException("--no-pull leaves nothing to order: leave out --pull-order and --pull-first");
        IReadOnlyList<ByteRange> first = result.GetValue(_pullFirst) is { } ranges ? ByteRange.ParseList(ranges) : [];
        return result.GetValue(_pullOrder) switch
        {
            null or "linear" => settings with { PullFirst = first },
            "reverse" => settings with { PullFirst = first, Rest = PullOrder.Reverse },
            var file => settings with { PullFirst = first, Trace = LoadTrace(file) },
        };
    }
}
