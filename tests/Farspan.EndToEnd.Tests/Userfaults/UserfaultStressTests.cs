using Farspan.TestKit;
using Farspan.TestKit.Fuse;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.EndToEnd.Tests.Userfaults;

/// <summary>Remote memory under constant collections, beside a program that gives the kernel's userfaults no rest.</summary>
public sealed class UserfaultStressTests
{
    [RequiresFact("userfault", "stress-ng", Timeout = 3_600_000)]
    public async Task StressBesideOurs_HurtsNeither()
    {
        using var directory = new TemporaryDirectory();
        int seconds = LongRun.IsAskedFor ? 600 : 8;
        var patience = TimeSpan.FromSeconds(seconds + 90);
        await using var stress = PeerProcess.Start(
            "stress-ng", ["--userfaultfd", "2", "--userfaultfd-bytes", "16M", "--timeout", $"{seconds}s", "--verify", "--temp-path", directory.Path]);
        string[] said = await Task.WhenAll(new[] { "copy", "view" }.Select(
            way => PeerProcess.RunOkAsync(FuseHost.Program, ["--use-userfaults", way, $"{seconds}"], patience)));
        Assert.All(said, line => Assert.StartsWith("using\nused ", line, StringComparison.Ordinal));
        await stress.WaitForExitAsync(patience);
        Assert.True(stress.ExitCode == 0, stress.Report);
    }
}
