using Farspan.Chunks;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Farspan.Tests.Chunks;

public sealed class ChunkLayoutTests
{
    [Theory]
    [InlineData(0, 4096, 0)]
    [InlineData(1, 4096, 1)]
    [InlineData(4096, 4096, 1)]
    [InlineData(4097, 4096, 2)]
    [InlineData(1L << 40, 65_536, 1L << 24)]
    [InlineData(long.MaxValue, 1, long.MaxValue)]
    [InlineData(long.MaxValue, 1 << 25, 1L << 38)]
    public void ChunkCount_CountsTheShortLastChunk(long length, int chunkSize, long count)
        => Assert.Equal(count, new ChunkLayout(length, chunkSize).ChunkCount);

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(3)]
    [InlineData(4095)]
    [InlineData(int.MinValue)]
    [InlineData((32 << 20) + 1)]
    [InlineData(64 << 20)]
    public void ChunkSize_OutOfBounds_Throws(int chunkSize) => Assert.Throws<ArgumentOutOfRangeException>(() => new ChunkLayout(1, chunkSize));

    [Theory]
    [InlineData(long.MaxValue - 1, 4096, long.MaxValue)]
    [InlineData(long.MaxValue - 4096, 4096, long.MaxValue - 4095)]
    [InlineData(long.MaxValue, 32 << 20, long.MaxValue)]
    [InlineData(1, 1 << 25, 1 << 25)]
    public void AlignUp_ReachesTheFarEnd(long offset, int chunkSize, long aligned)
        => Assert.Equal(aligned, new ChunkLayout(long.MaxValue, chunkSize).AlignUp(offset));

    [Fact]
    public void Length_Negative_Throws() => Assert.Throws<ArgumentOutOfRangeException>(() => new ChunkLayout(-1, 1));

    [Fact]
    public void Chunks_TileTheLength()
        => Prop.ForAll(Gen.Choose(1, 5000).ToArbitrary(), Gen.Choose(0, 9).ToArbitrary(), (length, shift) =>
        {
            var layout = new ChunkLayout(length, 1 << shift);
            long end = 0;
            for (long i = 0; i < layout.ChunkCount; i++)
            {
                Assert.Equal(end, layout.OffsetOf(i));
                Assert.Equal(i, layout.IndexOf(end));
                end += layout.LengthOf(i);
                Assert.Equal(i, layout.IndexOf(end - 1));
            }

            return end == length;
        }).QuickCheckThrowOnFailure();

    [Fact]
    public void Split_TilesTheRange_AndWholePiecesAreWhole()
    {
        var ranges =
            from length in Gen.Choose(1, 3000)
            from shift in Gen.Choose(0, 9)
            from offset in Gen.Choose(0, length)
            from count in Gen.Choose(0, length - offset)
            from run in Gen.Choose(1, 4)
            select (length, shift, offset, count, run);
        Prop.ForAll(ranges.ToArbitrary(), range =>
        {
            var layout = new ChunkLayout(range.length, 1 << range.shift);
            var splitter = new ChunkSplitter(layout, range.offset, range.count, range.run << range.shift);
            long position = range.offset;
            int parts = 0;
            while (splitter.TryTake(out var piece))
            {
                Assert.Equal(position, piece.Offset);
                Assert.True(piece.Length > 0);
                Assert.Equal(layout.IsWhole(piece.Offset, piece.Length), piece.IsWhole);
                if (piece.IsWhole)
                    Assert.True(piece.Length <= range.run << range.shift);
                else
                    Assert.Equal(layout.IndexOf(piece.Offset), layout.IndexOf(piece.Offset + piece.Length - 1));
                parts += piece.IsWhole ? 0 : 1;
                position += piece.Length;
            }

            return position == range.offset + range.count && parts <= 2;
        }).QuickCheckThrowOnFailure();
    }
}
