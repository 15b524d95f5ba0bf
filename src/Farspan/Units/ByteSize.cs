using System.Globalization;

namespace Farspan.Units;

/// <summary>Numbers of bytes as people write them: <c>4096</c>, <c>64KiB</c>, <c>1GiB</c>, <c>500MB</c>, <c>1G</c> (a bare letter is binary).</summary>
public static class ByteSize
{
    private static readonly (string Suffix, long Factor)[] Units =
    [
        ("KiB", 1L << 10), ("MiB", 1L << 20), ("GiB", 1L << 30), ("TiB", 1L << 40), ("PiB", 1L << 50), ("EiB", 1L << 60),
        ("kB", 1000), ("KB", 1000), ("MB", 1000_000), ("GB", 1000_000_000), ("TB", 1000_000_000_000), ("PB", 1000_000_000_000_000),
        ("EB", 1000_000_000_000_000_000),
        ("K", 1L << 10), ("k", 1L << 10), ("M", 1L << 20), ("G", 1L << 30), ("T", 1L << 40), ("P", 1L << 50), ("E", 1L << 60), ("B", 1),
    ];

    /// <summary>Parses a size.</summary>
    /// <exception cref="FormatException">The text is no size, is negative, or does not fit 63 bits.</exception>
    public static long Parse(string text)
        => TryParse(text, out long bytes) ? bytes : throw new FormatException($"'{text}' is no size; give one such as 4096, 64KiB, 1GiB or 500MB.");

    /// <summary>Parses a size; false where the text is none.</summary>
    public static bool TryParse(string? text, out long bytes)
    {
        bytes = 0;
        if (string.IsNullOrWhiteSpace(text))
            return false;
        text = text.Trim();
        long factor = 1;
        foreach (var (suffix, value) in Units)
        {
            if (text.EndsWith(suffix, StringComparison.Ordinal))
            {
                factor = value;
                text = text[..^suffix.Length].TrimEnd();
                break;
            }
        }

        if (!decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal number))
            return false;
        if (number > (decimal)long.MaxValue / factor)
            return false;
        decimal product = number * factor;
        if (product != decimal.Truncate(product))
            return false;
        bytes = (long)product;
        return true;
    }

    /// <summary>Writes a size for people: <c>64 KiB</c>, <c>1.5 GiB</c>, <c>812 B</c>.</summary>
    public static string Format(long bytes)
    {
        ReadOnlySpan<string> names = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        double value = bytes;
        int unit = 0;
        while (Math.Abs(value) >= 1024 && unit < names.Length - 1)
        {
            value /= 1024;
            unit++;
        }

        return string.Create(CultureInfo.InvariantCulture, $"{value:0.##} {names[unit]}");
    }
}
