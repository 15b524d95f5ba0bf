using System.Xml.Linq;
using Farspan.Cli.Tracing;
using Farspan.Mounts.Tracing;
using Farspan.TestKit;
using Xunit;

namespace Farspan.Cli.Tests.Tracing;

public sealed class TraceShowTests
{
    private const int Chunk = 4096;

    [Fact]
    public void Grid_HasEachChunkOnce_WhereItIs()
    {
        var trace = new PullTrace(8 * Chunk, Chunk, [new(4, 4, false), new(0, 2, true)]);
        var grid = TraceGrid.Draw(trace, 4, 3);
        Assert.Equal(
            [((2, 0), (2, 0)), ((3, 1), (2, 0)), ((0, 2), (0, 2))],
            from row in Enumerable.Range(0, 3)
            from column in Enumerable.Range(0, 4)
            where grid[column, row] != (0, 0)
            select ((column, row), ((int)grid[column, row].Read, (int)grid[column, row].Written)));
        Assert.Equal(2, grid.Most);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(7, 5)]
    [InlineData(100, 3)]
    [InlineData(3, 100)]
    public void Grid_LosesNoChunk_WhateverItsSize(int columns, int rows)
    {
        var trace = new PullTrace(1000 * Chunk, Chunk, [new(990, 10, true), new(0, 313, false), new(500, 100, false), new(400, 1, true)]);
        var grid = TraceGrid.Draw(trace, columns, rows);
        var cells = from row in Enumerable.Range(0, rows) from column in Enumerable.Range(0, columns) select grid[column, row];
        Assert.Equal((413, 11), (cells.Sum(cell => cell.Read), cells.Sum(cell => cell.Written)));
    }

    [Fact]
    public void Grid_OfAHugeRegion_IsDrawnByRuns_NotByChunks()
    {
        const long Count = 1L << 40;
        var grid = TraceGrid.Draw(new PullTrace(Count * Chunk, Chunk, [new(0, Count, false)]), 400, 200);
        Assert.Equal(Count, Enumerable.Range(0, 200).Sum(row => Enumerable.Range(0, 400).Sum(column => grid[column, row].Read)));
    }

    [Fact]
    public void Text_ShowsTheRegionFromLeftToRight_AndTimeDownwards()
    {
        var trace = new PullTrace(8 * Chunk, Chunk, [new(4, 4, false), new(0, 2, true)]);
        string[] expected =
        [
            "region 32 KiB (32768 bytes), chunks of 4 KiB",
            "touched 6 of 8 chunks (75 %) in 2 runs, 4 read, 2 written",
            "first  +--------+",
            "       |    ##  |",
            "       |      ##|",
            "last   |WW      |",
            "       +--------+",
            "        0 32 KiB",
            "read: . : * #   written: - ~ w W   (few to many chunks)",
            "",
        ];
        Assert.Equal(expected, TracePicture.Text(trace, 8, 3).Split('\n'));
    }

    [Fact(Timeout = 120_000)]
    public async Task Show_DrawsTextOrSvg()
    {
        using var directory = new TemporaryDirectory();
        new PullTrace(800 * Chunk, Chunk, [new(400, 400, false), new(0, 20, true)]).Save(directory["trace"]);
        var text = await CommandLine.RunAsync("trace", "show", directory["trace"]);
        Assert.Equal(ExitCodes.Done, text.ExitCode);
        Assert.Contains("420 of 800 chunks", text.Output, StringComparison.Ordinal);
        var svg = await CommandLine.RunAsync("trace", "show", directory["trace"], "--svg", directory["out.svg"]);
        Assert.Equal((ExitCodes.Done, ""), (svg.ExitCode, svg.Output + svg.Error));
        var picture = XDocument.Load(directory["out.svg"]);
        Assert.Contains(picture.Descendants(), element => (string?)element.Attribute("fill") == "#2050c0");
        Assert.Contains(picture.Descendants(), element => (string?)element.Attribute("fill") == "#c02020");
    }

    [Fact(Timeout = 120_000)]
    public async Task EmptyTrace_IsShown()
    {
        using var directory = new TemporaryDirectory();
        new PullTrace(0, Chunk, []).Save(directory["trace"]);
        Assert.Contains("0 of 0 chunks", (await CommandLine.RunAsync("trace", "show", directory["trace"])).Output, StringComparison.Ordinal);
        Assert.Equal(ExitCodes.Done, (await CommandLine.RunAsync("trace", "show", directory["trace"], "--svg", directory["out.svg"])).ExitCode);
    }

    [Fact(Timeout = 120_000)]
    public async Task FileThatIsNoTrace_IsOneLine()
    {
        using var directory = new TemporaryDirectory();
        await File.WriteAllTextAsync(directory["other"], "hello\n");
        string line = (await CommandLine.RunAsync("trace", "show", directory["other"])).ErrorLine(ExitCodes.Usage);
        Assert.Contains($"{directory["other"]}: this is no trace", line, StringComparison.Ordinal);
        (await CommandLine.RunAsync("trace", "show", directory["missing"])).ErrorLine(ExitCodes.Failed);
    }
}
