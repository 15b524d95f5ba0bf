using Farspan.Checksums;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Tests.Checksums;

public sealed class Crc32CTests
{
    [Fact]
    public void CheckValue_IsThatOfThePolynomial() => Assert.Equal(0xE3069283u, Crc32C.Compute("123456789"u8));

    [Fact]
    public void Rfc3720Vectors_Match()
    {
        Assert.Equal(0x8A9136AAu, Crc32C.Compute(new byte[32]));
        Assert.Equal(0x62A8AB43u, Crc32C.Compute(Enumerable.Repeat((byte)0xFF, 32).ToArray()));
        Assert.Equal(0x46DD794Eu, Crc32C.Compute(Enumerable.Range(0, 32).Select(i => (byte)i).ToArray()));
        Assert.Equal(0x113FDB5Cu, Crc32C.Compute(Enumerable.Range(0, 32).Select(i => (byte)(31 - i)).ToArray()));
    }

    [Fact]
    public void AnyLength_MatchesTheBitwiseDefinition()
        => Prop.ForAll(Gen.Choose(0, 9000).Two().ToArbitrary(), pair =>
        {
            byte[] data = new byte[pair.Item1];
            new Random(pair.Item2).NextBytes(data);
            return Crc32C.Compute(data) == Bitwise(data);
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void EveryLengthAroundALane_MatchesTheBitwiseDefinition()
    {
        byte[] data = new byte[8000];
        new Random(1).NextBytes(data);
        foreach (int length in new[] { 0, 1, 7, 8, 9, 383, 384, 385, 767, 768, 3071, 3072, 3073, 6143, 6144, 6145, 7999 })
            Assert.Equal(Bitwise(data.AsSpan(0, length)), Crc32C.Compute(data.AsSpan(0, length)));
    }

    [Fact]
    public void Appended_EqualsTheWhole()
        => Prop.ForAll(Gen.Choose(0, 7000).Two().ToArbitrary(), pair =>
        {
            byte[] data = new byte[7000];
            new Random(pair.Item2).NextBytes(data);
            return Crc32C.Append(Crc32C.Compute(data.AsSpan(0, pair.Item1)), data.AsSpan(pair.Item1)) == Crc32C.Compute(data);
        }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(32)]
    [InlineData(4096)]
    [InlineData(65_537)]
    [InlineData(1 << 20)]
    public void OfZeroes_EqualsTheComputed(int length) => Assert.Equal(Crc32C.Compute(new byte[length]), Crc32C.OfZeroes(length));

    [Fact]
    public void OfZeroes_NegativeLength_Throws() => Assert.Throws<ArgumentOutOfRangeException>(() => Crc32C.OfZeroes(-1));

    private static uint Bitwise(ReadOnlySpan<byte> data)
    {
        uint state = uint.MaxValue;
        foreach (byte b in data)
        {
            state ^= b;
            for (int bit = 0; bit < 8; bit++)
                state = (state >> 1) ^ ((state & 1) * 0x82F63B78);
        }

        return ~state;
    }
}
