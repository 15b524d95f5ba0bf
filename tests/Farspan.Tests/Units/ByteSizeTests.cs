using Farspan.Units;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Tests.Units;

public sealed class ByteSizeTests
{
    [Theory]
    [InlineData("0", 0)]
    [InlineData("4096", 4096)]
    [InlineData("812B", 812)]
    [InlineData("64KiB", 65_536)]
    [InlineData(" 64 KiB ", 65_536)]
    [InlineData("64K", 65_536)]
    [InlineData("64k", 65_536)]
    [InlineData("1.5KiB", 1536)]
    [InlineData("1G", 1L << 30)]
    [InlineData("500MB", 500_000_000)]
    [InlineData("1kB", 1000)]
    [InlineData("2TiB", 2L << 40)]
    [InlineData("7EiB", 7L << 60)]
    [InlineData("9EB", 9_000_000_000_000_000_000)]
    [InlineData("9223372036854775807", long.MaxValue)]
    public void Size_IsParsed(string text, long bytes)
        => Assert.Equal(bytes, ByteSize.Parse(text));

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("  ")]
    [InlineData("KiB")]
    [InlineData("-1")]
    [InlineData("+1")]
    [InlineData("1e3")]
    [InlineData("0x10")]
    [InlineData("1,000")]
    [InlineData("0.3KiB")]
    [InlineData("1.5")]
    [InlineData("64kib")]
    [InlineData("64KiBB")]
    [InlineData("9223372036854775808")]
    [InlineData("8EiB")]
    [InlineData("9223372036854775807PiB")]
    [InlineData("79228162514264337593543950335PiB")]
    [InlineData("99999999999999999999999999999999")]
    public void NoSize_IsRefused(string? text)
    {
        Assert.False(ByteSize.TryParse(text, out long bytes));
        Assert.Equal(0, bytes);
    }

    [Fact]
    public void NoSize_ThrowsOneClearLine()
    {
        var error = Assert.Throws<FormatException>(() => ByteSize.Parse("much"));
        Assert.Contains("'much'", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
    }

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(812, "812 B")]
    [InlineData(1024, "1 KiB")]
    [InlineData(1536, "1.5 KiB")]
    [InlineData(1L << 40, "1 TiB")]
    [InlineData(long.MaxValue, "8 EiB")]
    [InlineData(-2048, "-2 KiB")]
    public void Format_IsForPeople(long bytes, string text)
        => Assert.Equal(text, ByteSize.Format(bytes));

    [Fact]
    public void WholeUnits_RoundTrip()
        => Prop.ForAll(
            Gen.Choose(1, 1023).SelectMany(count => Gen.Choose(0, 5).Select(unit => (long)count << (10 * unit))).ToArbitrary(),
            bytes => ByteSize.Parse(ByteSize.Format(bytes)) == bytes).QuickCheckThrowOnFailure();

    [Fact]
    public void AnyText_IsParsedOrRefusedWithoutAnException()
        => Prop.ForAll<string>(text => ByteSize.TryParse(text, out _) || true).QuickCheckThrowOnFailure();
}
