using System.Globalization;
using Farspan.Units;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Tests.Units;

public sealed class DurationTextTests
{
    [Theory]
    [InlineData("250ms", 0.25)]
    [InlineData("5s", 5)]
    [InlineData("1.5m", 90)]
    [InlineData("2min", 120)]
    [InlineData("2h", 7200)]
    [InlineData("10us", 0.00001)]
    [InlineData("10 µs", 0.00001)]
    [InlineData("0s", 0)]
    public void Duration_IsParsed(string text, double seconds)
        => Assert.Equal(TimeSpan.FromSeconds(seconds), DurationText.Parse(text));

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("5")]
    [InlineData("s")]
    [InlineData("-5s")]
    [InlineData("1e3s")]
    [InlineData("NaNs")]
    [InlineData("Infinitys")]
    [InlineData("5 days")]
    [InlineData("999999999999999999h")]
    [InlineData("922337203686s")]
    public void NoDuration_IsRefused(string? text)
        => Assert.False(DurationText.TryParse(text, out _));

    [Fact]
    public void LongestDuration_IsParsedOrRefusedWithoutAnException()
    {
        double most = TimeSpan.MaxValue.TotalSeconds;
        for (int i = 0; i < 100; i++)
        {
            most = Math.BitDecrement(most);
            bool parsed = DurationText.TryParse(most.ToString("F6", CultureInfo.InvariantCulture) + "s", out var duration);
            Assert.Equal(parsed, duration > TimeSpan.Zero);
        }
    }

    [Fact]
    public void NoDuration_ThrowsOneClearLine()
        => Assert.Contains("'soon'", Assert.Throws<FormatException>(() => DurationText.Parse("soon")).Message, StringComparison.Ordinal);

    [Fact]
    public void AnyText_IsParsedOrRefusedWithoutAnException()
        => Prop.ForAll<string>(text => DurationText.TryParse(text + "s", out _) || true).QuickCheckThrowOnFailure();
}
