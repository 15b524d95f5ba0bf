using Farspan.Cli.Mounting;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Cli.Tests.Mounting;

public sealed class TargetPathTests
{
    [Fact(Timeout = 120_000)]
    public Task LinksOnTheWay_AreFollowed()
    {
        using var directory = new TemporaryDirectory();
        Directory.CreateDirectory(directory["real/inner"]);
        File.CreateSymbolicLink(directory["first"], "real");
        File.CreateSymbolicLink(directory["second"], directory["first"]);
        Assert.Equal(TargetPath.Resolve(directory["real/inner/f"]), TargetPath.Resolve(directory["second/inner/../inner/f"]));
        return Task.CompletedTask;
    }

    [Theory]
    [InlineData("", "is empty")]
    [InlineData("/tmp/bad\uFFFDname", "no name in UTF-8")]
    public void TargetThatCannotBeNamed_IsRefused(string target, string reason)
        => Assert.Contains(reason, Assert.Throws<FormatException>(() => TargetPath.Resolve(target)).Message, StringComparison.Ordinal);
}
