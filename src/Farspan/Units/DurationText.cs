using System.Globalization;

namespace Farspan.Units;

/// <summary>Durations as people write them: <c>250ms</c>, <c>5s</c>, <c>1.5m</c>, <c>2h</c>.</summary>
public static class DurationText
{
    private static readonly (string Suffix, long Ticks)[] Units =
    [
        ("us", TimeSpan.TicksPerMicrosecond), ("µs", TimeSpan.TicksPerMicrosecond), ("ms", TimeSpan.TicksPerMillisecond),
        ("s", TimeSpan.TicksPerSecond), ("min", TimeSpan.TicksPerMinute), ("m", TimeSpan.TicksPerMinute), ("h", TimeSpan.TicksPerHour),
    ];

    /// <summary>Parses a duration.</summary>
    /// <exception cref="FormatException">The text is no duration.</exception>
    public static TimeSpan Parse(string text)
        => TryParse(text, out var duration) ? duration : throw new FormatException($"'{text}' is no duration; give one such as 250ms, 5s or 2m.");

    /// <summary>Parses a duration; false where the text is none.</summary>
    public static bool TryParse(string? text, out TimeSpan duration)
    {
        duration = default;
        if (text is null)
            return false;
        text = text.Trim();
        foreach (var (suffix, ticks) in Units)
        {
            if (text.EndsWith(suffix, StringComparison.Ordinal)
                && decimal.TryParse(text[..^suffix.Length].TrimEnd(), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal number)
                && number < (decimal)long.MaxValue / ticks)
            {
                duration = new TimeSpan((long)decimal.Round(number * ticks));
                return true;
            }
        }

        return false;
    }
}
