using System.Numerics;
using Farspan.Backends;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Tests.Backends;

public sealed class BackendRangeTests
{
    [Fact]
    public void AnyNumbers_AreJudgedAsWithoutOverflow()
    {
        long[] edges = [0, 1, -1, 4095, 4096, 4097, long.MaxValue, long.MaxValue - 1, long.MinValue, long.MinValue + 1];
        var number = Gen.OneOf(Gen.Elements(edges), Gen.Choose(-5000, 5000).Select(n => (long)n)).ToArbitrary();
        Prop.ForAll(number, number, number, (length, offset, count) =>
        {
            length = length < 0 ? 4096 : length;
            bool inside = offset >= 0 && count >= 0 && (BigInteger)offset + count <= length;
            return BackendRange.Contains(length, offset, count) == inside;
        }).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Outside_ThrowsNamingTheRange()
    {
        BackendRange.Check(100, 50, 50);
        BackendRange.Check(100, 100, 0);
        var error = Assert.Throws<ArgumentOutOfRangeException>(() => BackendRange.Check(100, 51, 50));
        Assert.Contains("50 bytes at offset 51", error.Message, StringComparison.Ordinal);
    }
}
