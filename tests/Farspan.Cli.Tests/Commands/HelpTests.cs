using Xunit;

namespace Farspan.Cli.Tests.Commands;

public sealed class HelpTests
{
    public static TheoryData<string> Verbs => ["demo", "serve", "mount", "umount", "status", "seed", "leech", "finalize", "region", "copy", "info", "uffd-agent", "trace", "doctor"];

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Verbs))]
    public async Task Help_ShowsUsageAndExamples(string verb)
    {
        var run = await CommandLine.RunAsync(verb, "--help");
        Assert.Equal(ExitCodes.Done, run.ExitCode);
        Assert.Contains($"farspan {verb}", run.Output);
        Assert.Contains("Examples:", run.Output);
        Assert.DoesNotContain("Farspan.Cli", run.Output);
        Assert.Empty(run.Error);
    }

    [Theory(Timeout = 120_000)]
    [MemberData(nameof(Verbs))]
    public async Task UnknownOption_OneLineThatNamesTheVerbAndTheHelp(string verb)
    {
        string line = (await CommandLine.RunAsync(verb, "--frobnicate")).ErrorLine(ExitCodes.Usage);
        Assert.StartsWith($"farspan {verb}: ", line, StringComparison.Ordinal);
        Assert.EndsWith($"see farspan {verb} --help", line, StringComparison.Ordinal);
    }

    [Fact(Timeout = 120_000)]
    public async Task RootHelp_ListsEveryVerb()
    {
        var run = await CommandLine.RunAsync("--help");
        Assert.Equal(ExitCodes.Done, run.ExitCode);
        foreach (string verb in Verbs)
            Assert.Contains($"\n  {verb} ", run.Output);
    }

    [Fact(Timeout = 120_000)]
    public async Task NoVerb_ShowsHelpAndIsWrongUsage()
    {
        var run = await CommandLine.RunAsync();
        Assert.Equal(ExitCodes.Usage, run.ExitCode);
        Assert.Contains("Usage:", run.Output);
    }
}
