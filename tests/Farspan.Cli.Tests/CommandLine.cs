using Xunit;

namespace Farspan.Cli.Tests;

/// <summary>One run of the program inside the test's process.</summary>
internal sealed record CommandLine(int ExitCode, string Output, string Error)
{
    /// <summary>Runs a command line to its end.</summary>
    public static async Task<CommandLine> RunAsync(params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        int exitCode = await FarspanProgram.RunAsync(arguments, output, error);
        return new CommandLine(exitCode, output.ToString(), error.ToString());
    }

    /// <summary>Checks that it ended with this exit code and exactly one line on standard error, and returns the line.</summary>
    public string ErrorLine(int exitCode)
    {
        Assert.True(ExitCode == exitCode, $"exit {ExitCode}, expected {exitCode}\n{Output}{Error}");
        Assert.EndsWith("\n", Error, StringComparison.Ordinal);
        Assert.Single(Error.TrimEnd('\n').Split('\n'));
        return Error.TrimEnd('\n');
    }
}
