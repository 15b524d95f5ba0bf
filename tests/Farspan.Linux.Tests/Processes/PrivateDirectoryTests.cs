using Farspan.Linux.Processes;
using Farspan.TestKit;
using Farspan.TestKit.Peers;
using Xunit;

namespace Farspan.Linux.Tests.Processes;

public sealed class PrivateDirectoryTests
{
    private const UnixFileMode OnlyOwner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    [Fact]
    public void Absent_IsNotThere_AndMadeForItsOwnerAlone_Repeatedly()
    {
        using var directory = new TemporaryDirectory();
        Assert.False(PrivateDirectory.Exists(directory["run"]));
        for (int i = 0; i < 2; i++)
            PrivateDirectory.Create(directory["run"]);
        Assert.True(PrivateDirectory.Exists(directory["run"]));
        Assert.Equal(OnlyOwner, File.GetUnixFileMode(directory["run"]));
    }

    [RequiresFact("root", "chown")]
    public async Task AnotherUsers_IsRefused_AndLeftAsItIs()
    {
        using var directory = new TemporaryDirectory();
        Directory.CreateDirectory(directory["run"], OnlyOwner | UnixFileMode.GroupRead);
        await PeerProcess.RunOkAsync("chown", ["12345", directory["run"]]);
        AssertRefused(directory["run"], "another user's");
        Assert.Equal(OnlyOwner | UnixFileMode.GroupRead, File.GetUnixFileMode(directory["run"]));
    }

    [Fact]
    public void SymbolicLink_IsRefused_WhereverItLeads()
    {
        using var directory = new TemporaryDirectory();
        Directory.CreateDirectory(directory["elsewhere"], OnlyOwner);
        File.CreateSymbolicLink(directory["link"], directory["elsewhere"]);
        AssertRefused(directory["link"], "no directory");
        File.CreateSymbolicLink(directory["dangling"], directory["nowhere"]);
        Assert.Throws<IOException>(() => PrivateDirectory.Create(directory["dangling"]));
        Assert.Throws<IOException>(() => PrivateDirectory.Exists(directory["dangling"]));
        Assert.False(Directory.Exists(directory["nowhere"]));
    }

    [Fact]
    public void File_IsRefused()
    {
        using var directory = new TemporaryDirectory();
        File.WriteAllText(directory["run"], "");
        Assert.Throws<IOException>(() => PrivateDirectory.Create(directory["run"]));
        Assert.Contains("no directory", Assert.Throws<IOException>(() => PrivateDirectory.Exists(directory["run"])).Message, StringComparison.Ordinal);
    }

    // What lies in it may be anybody's, also once it is closed to them.
    [Theory]
    [InlineData(UnixFileMode.GroupWrite)]
    [InlineData(UnixFileMode.OtherWrite)]
    public void OneThatOthersMayWrite_IsRefused(UnixFileMode others)
    {
        using var directory = new TemporaryDirectory();
        Directory.CreateDirectory(directory["run"]);
        File.SetUnixFileMode(directory["run"], OnlyOwner | others);
        AssertRefused(directory["run"], "other users may write into it");
    }

    [Fact]
    public void OneThatOthersMayRead_IsClosedToThem()
    {
        using var directory = new TemporaryDirectory();
        Directory.CreateDirectory(directory["run"]);
        File.SetUnixFileMode(directory["run"], OnlyOwner | UnixFileMode.GroupRead | UnixFileMode.OtherExecute);
        PrivateDirectory.Create(directory["run"]);
        Assert.Equal(OnlyOwner, File.GetUnixFileMode(directory["run"]));
    }

    private static void AssertRefused(string path, string reason)
    {
        foreach (var call in (Action[])[() => PrivateDirectory.Create(path), () => PrivateDirectory.Exists(path)])
            Assert.Contains(reason, Assert.Throws<IOException>(call).Message, StringComparison.Ordinal);
    }
}
