using Farspan.Backends;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Tests.Backends;

public sealed class BackendUriTests
{
    [Theory]
    [InlineData("memory:1GiB", "memory", null, "1GiB")]
    [InlineData("disk.img", "file", null, "disk.img")]
    [InlineData("/data/disk.img", "file", null, "/data/disk.img")]
    [InlineData("//data/disk.img", "file", null, "//data/disk.img")]
    [InlineData("./a:b", "file", null, "./a:b")]
    [InlineData("1:b", "file", null, "1:b")]
    [InlineData("file:/data/50%25 of it.img", "file", null, "/data/50%25 of it.img")]
    [InlineData("file:///data/disk.img", "file", "", "/data/disk.img")]
    [InlineData("FILE:Disk", "file", null, "Disk")]
    [InlineData("nbd://host:10809/export/a", "nbd", "host:10809", "/export/a")]
    [InlineData("nbd://host", "nbd", "host", "")]
    [InlineData("nbd+unix:///?socket=/run/a", "nbd+unix", "", "/")]
    public void Text_IsTakenApart(string text, string scheme, string? authority, string path)
    {
        var uri = BackendUri.Parse(text);
        Assert.Equal((scheme, authority, path, text), (uri.Scheme, uri.Authority, uri.Path, uri.Text));
    }

    [Fact]
    public void Values_AreDecoded()
    {
        var uri = BackendUri.Parse("x:p?a=1%262&b&c=&d=e=f");
        Assert.Equal(("1&2", "", "", "e=f", null), (uri.Get("a"), uri.Get("b"), uri.Get("c"), uri.Get("d"), uri.Get("e")));
    }

    [Theory]
    [InlineData("")]
    [InlineData("x:p?a=1&a=2")]
    [InlineData("x:p?a=1&%61=2")]
    public void NoUri_ThrowsFormatException(string text)
        => Assert.Throws<FormatException>(() => BackendUri.Parse(text));

    [Theory]
    [InlineData("x:p", null)]
    [InlineData("x:p?size=64KiB", 65_536L)]
    [InlineData("x:p?size=0", 0L)]
    public void Size_IsParsed(string text, long? bytes)
        => Assert.Equal(bytes, BackendUri.Parse(text).GetSize("size"));

    [Theory]
    [InlineData("x:p?size=")]
    [InlineData("x:p?size=-1")]
    [InlineData("x:p?size=big")]
    public void NoSize_ThrowsNamingTheKeyAndTheUri(string text)
    {
        var error = Assert.Throws<FormatException>(() => BackendUri.Parse(text).GetSize("size"));
        Assert.Contains("'size=", error.Message, StringComparison.Ordinal);
        Assert.Contains(text, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Length_IsAtLeastOne()
    {
        Assert.Throws<FormatException>(() => BackendUri.Parse("x:p?size=0").GetLength("size"));
        Assert.Equal(1, BackendUri.Parse("x:p?size=1").GetLength("size"));
        Assert.Null(BackendUri.Parse("x:p").GetLength("size"));
    }

    [Theory]
    [InlineData("x:p?s", false, true)]
    [InlineData("x:p?s=on", false, true)]
    [InlineData("x:p?s=1", false, true)]
    [InlineData("x:p?s=off", true, false)]
    [InlineData("x:p?s=false", true, false)]
    [InlineData("x:p", true, true)]
    [InlineData("x:p", false, false)]
    public void Switch_IsOnOrOff(string text, bool absent, bool on)
        => Assert.Equal(on, BackendUri.Parse(text).GetSwitch("s", absent));

    [Fact]
    public void NoSwitch_Throws()
        => Assert.Throws<FormatException>(() => BackendUri.Parse("x:p?s=maybe").GetSwitch("s"));

    [Fact]
    public void UnknownKey_ThrowsNamingItAndTheKnownOnes()
    {
        var uri = BackendUri.Parse("x:p?size=1&sise=2");
        uri.AllowOnly("size", "sise");
        var error = Assert.Throws<FormatException>(() => uri.AllowOnly("size", "chunk"));
        Assert.Contains("'sise'", error.Message, StringComparison.Ordinal);
        Assert.Contains("size, chunk", error.Message, StringComparison.Ordinal);
        Assert.Throws<FormatException>(() => uri.AllowOnly());
    }

    [Theory]
    [InlineData("redis://me:secret@host/0?a=b", "redis://me:***@host/0?a=b")]
    [InlineData("redis://:secret@host", "redis://:***@host")]
    [InlineData("redis://:p@ss@host", "redis://:***@host")]
    [InlineData("nbd://host:10809/e", "nbd://host:10809/e")]
    [InlineData("nbd://me@host:10809/e", "nbd://me@host:10809/e")]
    public void Password_IsNotShown(string text, string shown)
    {
        Assert.Equal(shown, BackendUri.Parse(text).ToString());
        Assert.DoesNotContain("secret", Assert.Throws<FormatException>(() => BackendUri.Parse(text + "?x=y").AllowOnly("z")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnyText_IsParsedOrRefusedWithFormatException()
        => Prop.ForAll<NonNull<string>>(text =>
        {
            try
            {
                return BackendUri.Parse(text.Get).Scheme.Length > 0;
            }
            catch (FormatException)
            {
                return true;
            }
        }).QuickCheckThrowOnFailure();
}
