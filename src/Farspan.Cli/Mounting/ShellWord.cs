namespace Farspan.Cli.Mounting;

/// <summary>Text as a word of a command line that can be copied into a shell.</summary>
internal static class ShellWord
{
    /// <summary>A command of these words.</summary>
    public static string Join(IEnumerable<string> words) => string.Join(' ', words.Select(Quote));

    /// <summary>The text, in quotes where a shell would read more into it.</summary>
    public static string Quote(string text)
        => text.Length > 0 && text.All(c => char.IsAsciiLetterOrDigit(c) || "_-./:=@,+%".Contains(c, StringComparison.Ordinal))
            ? text
            : $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}
