using Xunit;

namespace Farspan.Cli.Tests;

public sealed class FarspanProgramTests
{
    [Fact(Timeout = 120_000)]
    public async Task Version_PrintsOneLineAndSucceeds()
    {
        var run = await CommandLine.RunAsync("--version");
        Assert.Equal(ExitCodes.Done, run.ExitCode);
        Assert.Matches(@"^\d+\.\d+\.\d+\n$", run.Output);
        Assert.Empty(run.Error);
    }

    [Theory(Timeout = 120_000)]
    [InlineData("frobnicate")]
    [InlineData("--frobnicate")]
    [InlineData("info")]
    [InlineData("info", "memory:1MiB", "memory:1MiB")]
    [InlineData("info", "memory:1MiB", "--frobnicate")]
    public async Task WrongUsage_OneLineAndExitTwo(params string[] arguments)
    {
        var run = await CommandLine.RunAsync(arguments);
        Assert.StartsWith("farspan", run.ErrorLine(ExitCodes.Usage), StringComparison.Ordinal);
        Assert.Empty(run.Output);
    }
}
