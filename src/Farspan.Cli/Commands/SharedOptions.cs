using System.CommandLine;
using Farspan.Cli.Terminal;
using Farspan.Units;

namespace Farspan.Cli.Commands;

/// <summary>Options that several verbs have, with one meaning.</summary>
internal static class SharedOptions
{
    /// <summary><c>--json</c>.</summary>
    public static Option<bool> Json() => new("--json") { Description = "Print the answer as JSON, for a script." };

    /// <summary><c>--progress</c>.</summary>
    public static Option<bool> Progress() => new("--progress") { Description = "Show progress even where standard error is no terminal." };

    /// <summary><c>--quiet</c>.</summary>
    public static Option<bool> Quiet() => new("--quiet", "-q") { Description = "Show no progress and no summary." };

    /// <summary><c>--timeout</c>.</summary>
    public static Option<string> Timeout()
        => new("--timeout") { Description = "Time for connecting to a remote and for each request.", DefaultValueFactory = _ => "30s" };

    /// <summary>What <c>--timeout</c> says.</summary>
    /// <exception cref="FormatException">It is no duration, or zero.</exception>
    public static TimeSpan ReadTimeout(string text)
        => DurationText.Parse(text) is var timeout && timeout > TimeSpan.Zero ? timeout : throw new FormatException("--timeout must be more than zero; give one such as 30s");

    /// <summary>How to show progress, after <c>--progress</c> and <c>--quiet</c>.</summary>
    public static ProgressMode ProgressMode(bool progress, bool quiet)
    {
        if (quiet)
            return Terminal.ProgressMode.None;
        if (!Console.IsErrorRedirected)
            return Terminal.ProgressMode.Redraw;
        return progress ? Terminal.ProgressMode.Lines : Terminal.ProgressMode.None;
    }
}
