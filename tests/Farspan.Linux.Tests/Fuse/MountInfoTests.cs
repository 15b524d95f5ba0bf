using Farspan.Linux.Fuse;
using Xunit;

namespace Farspan.Linux.Tests.Fuse;

public sealed class MountInfoTests
{
    [Fact(Timeout = 120_000)]
    public Task Line_WithOptionalFields_IsParsed()
    {
        var info = MountInfo.TryParse("36 35 0:45 / /mnt/a rw,noatime shared:1 master:7 - fuse.farspan nbd://host rw,user_id=0");
        Assert.Equal(new MountInfo(36, 35, "0:45", "/mnt/a", "fuse.farspan", "nbd://host"), info);
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task MountPoint_WithSpacesAndOtherLetters_IsUnescaped()
    {
        var info = MountInfo.TryParse(@"1 2 0:3 / /mnt/a\040b\011c\134d\012é rw - tmpfs x\040y rw");
        Assert.Equal("/mnt/a b\tc\\d\né", info!.MountPoint);
        Assert.Equal("x y", info.Source);
        return Task.CompletedTask;
    }

    [Theory(Timeout = 120_000)]
    [InlineData("")]
    [InlineData("1 2 3")]
    [InlineData("x 2 0:3 / /a rw - tmpfs t rw")]
    [InlineData("1 2 0:3 / /a rw -")]
    [InlineData("1 2 0:3 / /a rw tmpfs t rw")]
    public Task Line_ThatIsNone_GivesNothing(string line)
    {
        Assert.Null(MountInfo.TryParse(line));
        return Task.CompletedTask;
    }

    [Fact(Timeout = 120_000)]
    public Task Find_WithMountsUponEachOther_GivesTheUppermost()
    {
        string[] lines = ["1 0 0:1 / /a rw - tmpfs one rw", "4 3 0:2 / /a rw - tmpfs two rw", "3 1 0:3 / /a rw - fuse.farspan three rw", "5 4 0:4 / /a/b rw - tmpfs four rw"];
        var mounts = MountInfo.Parse(lines);
        Assert.Equal(4, MountInfo.Uppermost(mounts, "/a")!.Id);
        Assert.Null(MountInfo.Uppermost(mounts, "/a/"));
        return Task.CompletedTask;
    }
}
