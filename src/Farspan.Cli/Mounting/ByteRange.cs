using Farspan.Units;

namespace Farspan.Cli.Mounting;

/// <summary>A range of bytes as people write it: <c>0-1MiB</c>, <c>1GiB-</c> (to the end), <c>-4MiB</c> (the last 4 MiB).</summary>
/// <param name="Start">First byte; null where <paramref name="End"/> counts bytes from the end.</param>
/// <param name="End">The byte after the last; null for the end.</param>
internal readonly record struct ByteRange(long? Start, long? End)
{
    /// <summary>Parses ranges between commas.</summary>
    /// <exception cref="FormatException">A part is no range.</exception>
    public static IReadOnlyList<ByteRange> ParseList(string text)
        => [.. text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(Parse)];

    /// <summary>Where the range lies in a region of <paramref name="length"/> bytes; of no length where it lies outside.</summary>
    public (long Offset, long Length) Within(long length)
    {
        long start = Math.Min(Start ?? Math.Max(0, length - End!.Value), length);
        long end = Start is null ? length : Math.Min(End ?? length, length);
        return (start, Math.Max(0, end - start));
    }

    private static ByteRange Parse(string text)
    {
        int dash = text.IndexOf('-', StringComparison.Ordinal);
        if (dash < 0 || text.Length == 1)
            throw Wrong(text);
        var range = new ByteRange(Bound(text, text[..dash]), Bound(text, text[(dash + 1)..]));
        return range.Start is null || range.End is null || range.Start < range.End ? range : throw Wrong(text);
    }

    private static long? Bound(string text, string part)
    {
        if (part.Length == 0)
            return null;
        return ByteSize.TryParse(part, out long bytes) ? bytes : throw Wrong(text);
    }

    private static FormatException Wrong(string text) => new($"'{text}' is no range of bytes; give one such as 0-1MiB, 1GiB- or -4MiB (the last 4 MiB)");
}
