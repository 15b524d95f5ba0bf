using System.Globalization;
using System.Text;
using Farspan.Mounts.Tracing;
using Farspan.Units;

namespace Farspan.Cli.Tracing;

/// <summary>A trace for people: a few lines and a plot in characters, or an SVG.</summary>
internal static class TracePicture
{
    private const string ReadShades = ".:*#";
    private const string WriteShades = "-~wW";
    private const int SvgColumns = 400;
    private const int SvgRows = 200;
    private const int SvgCell = 2;
    private const int SvgLeft = 60;
    private const int SvgTop = 40;

    /// <summary>The trace in words, and as a plot of so many columns and rows between borders.</summary>
    public static string Text(PullTrace trace, int columns, int rows)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"region {ByteSize.Format(trace.Layout.Length)} ({trace.Layout.Length} bytes), chunks of {ByteSize.Format(trace.Layout.ChunkSize)}\n");
        text.Append(CultureInfo.InvariantCulture, $"touched {Summary(trace)}\n");
        if (trace.TouchedCount == 0)
            return text.ToString();
        var grid = TraceGrid.Draw(trace, columns, rows);
        text.Append("first  +").Append('-', columns).Append("+\n");
        for (int row = 0; row < rows; row++)
        {
            text.Append(row == rows - 1 ? "last   |" : "       |");
            for (int column = 0; column < columns; column++)
                text.Append(Shade(grid[column, row], grid.Most));
            text.Append("|\n");
        }

        text.Append("       +").Append('-', columns).Append("+\n");
        string end = ByteSize.Format(trace.Layout.Length);
        text.Append("        0").Append(' ', Math.Max(1, columns - 1 - end.Length)).Append(end).Append('\n');
        return text.Append("read: . : * #   written: - ~ w W   (few to many chunks)\n").ToString();
    }

    /// <summary>The trace as an SVG document: reads blue, writes red.</summary>
    public static string Svg(PullTrace trace)
    {
        const int Width = SvgColumns * SvgCell;
        const int Height = SvgRows * SvgCell;
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{Width + SvgLeft + 20}\" height=\"{Height + SvgTop + 40}\" font-family=\"sans-serif\" font-size=\"12\">\n");
        svg.Append("<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{SvgLeft}\" y=\"24\">First accesses: {Summary(trace)}; blue read, red written</text>\n");
        svg.Append(CultureInfo.InvariantCulture, $"<rect x=\"{SvgLeft}\" y=\"{SvgTop}\" width=\"{Width}\" height=\"{Height}\" fill=\"none\" stroke=\"gray\"/>\n");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"8\" y=\"{SvgTop + 12}\">first</text><text x=\"8\" y=\"{SvgTop + Height}\">last</text>\n");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{SvgLeft}\" y=\"{SvgTop + Height + 20}\">0</text>\n");
        svg.Append(CultureInfo.InvariantCulture, $"<text x=\"{SvgLeft + Width}\" y=\"{SvgTop + Height + 20}\" text-anchor=\"end\">{ByteSize.Format(trace.Layout.Length)}</text>\n");
        if (trace.TouchedCount > 0)
            AddCells(svg, TraceGrid.Draw(trace, SvgColumns, SvgRows));
        return svg.Append("</svg>\n").ToString();
    }

    private static void AddCells(StringBuilder svg, TraceGrid grid)
    {
        for (int row = 0; row < grid.Rows; row++)
        {
            for (int column = 0; column < grid.Columns; column++)
            {
                var (read, written) = grid[column, row];
                if (read + written == 0)
                    continue;
                double opacity = 0.3 + (0.7 * (read + written) / grid.Most);
                svg.Append(CultureInfo.InvariantCulture, $"<rect x=\"{SvgLeft + (column * SvgCell)}\" y=\"{SvgTop + (row * SvgCell)}\" width=\"{SvgCell}\" height=\"{SvgCell}\" fill=\"{(written > read ? "#c02020" : "#2050c0")}\" fill-opacity=\"{opacity:0.##}\"/>\n");
            }
        }
    }

    private static string Summary(PullTrace trace)
    {
        long written = trace.Runs.Where(run => run.IsWrite).Sum(run => run.Count);
        double share = trace.Layout.ChunkCount == 0 ? 0 : 100.0 * trace.TouchedCount / trace.Layout.ChunkCount;
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{trace.TouchedCount} of {trace.Layout.ChunkCount} chunks ({share:0.#} %) in {trace.Runs.Count} runs, {trace.TouchedCount - written} read, {written} written");
    }

    private static char Shade((long Read, long Written) cell, long most)
    {
        long count = cell.Read + cell.Written;
        if (count == 0)
            return ' ';
        string shades = cell.Written > cell.Read ? WriteShades : ReadShades;
        return shades[(int)Int128.Min(shades.Length - 1, (Int128)count * shades.Length / most)];
    }
}
