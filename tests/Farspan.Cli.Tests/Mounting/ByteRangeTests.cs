using Farspan.Cli.Mounting;
using Xunit;

namespace Farspan.Cli.Tests.Mounting;

public sealed class ByteRangeTests
{
    [Theory(Timeout = 120_000)]
    [InlineData("0-1MiB", 0, 1 << 20)]
    [InlineData("-4KiB", (10 << 20) - 4096, 4096)]
    [InlineData("9MiB-", 9 << 20, 1 << 20)]
    [InlineData("9MiB-1GiB", 9 << 20, 1 << 20)]
    [InlineData("-1GiB", 0, 10 << 20)]
    [InlineData("1GiB-2GiB", 10 << 20, 0)]
    public Task Range_LiesWithinTheRegion(string text, long offset, long length)
    {
        Assert.Equal((offset, length), Assert.Single(ByteRange.ParseList(text)).Within(10 << 20));
        return Task.CompletedTask;
    }
}
