using System.Text.Json;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Cli;

public sealed class DemoTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(110);

    [RequiresTheory("fuse")]
    [InlineData("fuse", "--size", "64MiB")]
    [InlineData("fuse", "--size", "64MiB", "--no-sqlite")]
    [InlineData("nbd", "--size", "64MiB", "--no-fuse")]
    public async Task Demo_MovesLittleVerifiesAndLeavesNothing(string attachment, params string[] options)
    {
        using var directory = new TemporaryDirectory();
        await using var demo = await PeerProcess.RunAsync(
            RepositoryRoot.Combine("farspan"), ["demo", "--json", .. options], Patience, directory.Path, environment: Environment(directory));
        Assert.True(demo.ExitCode == 0, demo.Report);
        using var report = JsonDocument.Parse(demo.Output);
        var root = report.RootElement;
        Assert.True(root.GetProperty("verified").GetBoolean());
        Assert.Equal(attachment, root.GetProperty("attachment").GetString());
        long fileBytes = root.GetProperty("fileBytes").GetInt64();
        Assert.True(fileBytes >= 64 << 20, demo.Report);
        Assert.True(root.GetProperty("jobBytes").GetInt64() < fileBytes / 4, demo.Report);
        AssertNothingLeft(directory);
    }

    [RequiresTheory("fuse")]
    [InlineData("make ")]
    [InlineData("download all")]
    [InlineData("20 more look-ups")]
    [InlineData("change a row")]
    public async Task Interrupted_LeavesNothing(string step)
    {
        using var directory = new TemporaryDirectory();
        await using var demo = PeerProcess.Start(
            RepositoryRoot.Combine("farspan"), ["demo", "--size", "64MiB"], directory.Path, Environment(directory));
        await demo.WaitUntilAsync(peer => peer.Output.Contains(step, StringComparison.Ordinal), Patience);
        await demo.SignalAsync("INT");
        await demo.WaitForExitAsync(Patience);
        Assert.True(demo.ExitCode == 1, demo.Report);
        Assert.Single(demo.Error.TrimEnd('\n').Split('\n'));
        AssertNothingLeft(directory);
    }

    private static Dictionary<string, string> Environment(TemporaryDirectory directory)
    {
        Directory.CreateDirectory(directory["tmp"]);
        return new(StringComparer.Ordinal) { ["FARSPAN_RUNTIME_DIR"] = directory["run"], ["TMPDIR"] = directory["tmp"] };
    }

    private static void AssertNothingLeft(TemporaryDirectory directory)
    {
        Assert.Empty(Directory.GetFileSystemEntries(directory["tmp"]));
        Assert.Empty(Directory.Exists(directory["run"]) ? Directory.GetFiles(directory["run"]) : []);
        Assert.Empty(new FarspanProcess(directory).Leftovers());
    }
}
