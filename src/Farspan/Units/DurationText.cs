using System.Globalization;

namespace Farspan.Units;

/// <summary>Durations as people write them: <c>250ms</c>, <c>5s</c>, <c>1.5m</c>, <c>2h</c>.</summary>
public static class DurationText
{
    private static readonly (string Suffix, double Seconds)[] Units =
        [("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1), ("min", 60), ("m", 60), ("h", 3600)];

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
        foreach (var (suffix, seconds) in Units)
        {
            if (text.EndsWith(suffix, StringComparison.Ordinal)
                && double.TryParse(text[..^suffix.Length].TrimEnd(), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number)
                && number * seconds < TimeSpan.MaxValue.TotalSeconds)
            {
                duration = TimeSpan.FromSeconds(number * seconds);
                return true;
            }
        }

        return false;
    }
}
