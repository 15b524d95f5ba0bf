using System.Globalization;
using Farspan.Units;

namespace Farspan.Transports;

/// <summary>A simulated line: how long bytes travel and how many fit through.</summary>
public sealed record LinkOptions
{
    private const long MaximumRate = 100_000_000_000_000;

    /// <summary>The time there and back, half of it each way. From 0 to an hour. Default: 0.</summary>
    public TimeSpan RoundTripTime { get; init; }

    /// <summary>Bits a second from here to the far side. From 1 to 100 Tbit/s. Default: null, unlimited.</summary>
    public long? UpRate { get; init; }

    /// <summary>Bits a second from the far side to here. From 1 to 100 Tbit/s. Default: null, unlimited.</summary>
    public long? DownRate { get; init; }

    /// <summary>Each arrival is late by a time drawn evenly from 0 to this; nothing overtakes. From 0 to an hour. Default: 0.</summary>
    public TimeSpan Jitter { get; init; }

    /// <summary>Where the draws of the jitter begin. Default: 0.</summary>
    public int Seed { get; init; }

    /// <summary>Bytes that a stream accepts beyond what fills the line, in each direction: the queue of a router. From 4 KiB to 1 GiB. Default:
    /// 256 KiB.</summary>
    public int QueueSize { get; init; } = 256 << 10;

    /// <summary>
    /// Reads a line as people write it: <c>rtt=25ms,rate=1Gbit</c>. Keys: <c>rtt</c>, <c>rate</c> (both ways) or <c>up</c> and <c>down</c> (in
    /// <c>bit</c>, <c>kbit</c>, <c>Mbit</c>, <c>Gbit</c> a second), <c>jitter</c>, <c>seed</c>, <c>queue</c> (bytes).
    /// </summary>
    /// <exception cref="FormatException">The text is no line; the message says what is wrong with it.</exception>
    public static LinkOptions Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var options = new LinkOptions();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (string pair in text.Split(','))
        {
            int equals = pair.IndexOf('=', StringComparison.Ordinal);
            string key = (equals < 0 ? pair : pair[..equals]).Trim();
            string value = equals < 0 ? "" : pair[(equals + 1)..].Trim();
            if (!seen.Add(key))
                throw Bad(text, $"'{key}' stands twice");
            options = key switch
            {
                "rtt" => options with { RoundTripTime = Duration(text, key, value) },
                "jitter" => options with { Jitter = Duration(text, key, value) },
                "rate" => options with { UpRate = Rate(text, key, value), DownRate = Rate(text, key, value) },
                "up" => options with { UpRate = Rate(text, key, value) },
                "down" => options with { DownRate = Rate(text, key, value) },
                "seed" => options with { Seed = int.TryParse(value, out int seed) ? seed : throw Bad(text, $"'{value}' is no number for seed") },
                "queue" => options with
                {
                    QueueSize = ByteSize.TryParse(value, out long size) && size <= 1 << 30 ? (int)size : throw Bad(text, $"'{value}' is no size for queue"),
                },
                "" => throw Bad(text, "a part is empty"),
                _ => throw Bad(text, $"'{key}' is not known"),
            };
        }

        if (seen.Contains("rate") && (seen.Contains("up") || seen.Contains("down")))
            throw Bad(text, "rate is both up and down");
        try
        {
            options.Validate();
        }
        catch (ArgumentOutOfRangeException error)
        {
            throw Bad(text, $"{error.ParamName} is out of its bounds");
        }

        return options;
    }

    /// <summary>Throws when a value is out of its bounds.</summary>
    /// <exception cref="ArgumentOutOfRangeException">One is; the message names it.</exception>
    internal void Validate()
    {
        CheckDuration(RoundTripTime, nameof(RoundTripTime));
        CheckDuration(Jitter, nameof(Jitter));
        CheckRate(UpRate, nameof(UpRate));
        CheckRate(DownRate, nameof(DownRate));
        if (QueueSize is < 4096 or > 1 << 30)
            throw new ArgumentOutOfRangeException(nameof(QueueSize), QueueSize, "A queue has from 4 KiB to 1 GiB.");
    }

    private static TimeSpan Duration(string text, string key, string value)
        => DurationText.TryParse(value, out var duration) ? duration : throw Bad(text, $"'{value}' is no duration for {key}");

    private static long Rate(string text, string key, string value)
    {
        ReadOnlySpan<(string Suffix, long Factor)> units = [("Gbit", 1_000_000_000), ("Mbit", 1_000_000), ("kbit", 1000), ("bit", 1)];
        foreach (var (suffix, factor) in units)
        {
            if (value.EndsWith(suffix, StringComparison.Ordinal)
                && decimal.TryParse(value[..^suffix.Length].TrimEnd(), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal number)
                && number <= MaximumRate)
            {
                return (long)(number * factor);
            }
        }

        throw Bad(text, $"'{value}' is no rate for {key}");
    }

    private static void CheckDuration(TimeSpan value, string name)
    {
        if (value < TimeSpan.Zero || value > TimeSpan.FromHours(1))
            throw new ArgumentOutOfRangeException(name, value, "A line's delay is from 0 to an hour.");
    }

    private static void CheckRate(long? value, string name)
    {
        if (value is < 1 or > MaximumRate)
            throw new ArgumentOutOfRangeException(name, value, "A line's rate is from 1 bit/s to 100 Tbit/s.");
    }

    private static FormatException Bad(string text, string why)
        => new($"'{text}' is no line ({why}); give one such as rtt=25ms,rate=1Gbit, with rates in kbit, Mbit or Gbit.");
}
