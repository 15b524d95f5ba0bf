using Farspan.Mounts.Tracing;

namespace Farspan.Cli.Tracing;

/// <summary>A trace as a picture of few cells: from left to right the region, from top to bottom the order in which chunks were first touched.</summary>
internal sealed class TraceGrid
{
    private readonly long[,] _reads;
    private readonly long[,] _writes;

    private TraceGrid(int columns, int rows)
    {
        Columns = columns;
        Rows = rows;
        _reads = new long[columns, rows];
        _writes = new long[columns, rows];
    }

    /// <summary>Cells from left to right.</summary>
    public int Columns { get; }

    /// <summary>Cells from top to bottom.</summary>
    public int Rows { get; }

    /// <summary>The most chunks that a cell has.</summary>
    public long Most { get; private set; }

    /// <summary>Chunks that were first read, and first written, in a cell.</summary>
    public (long Read, long Written) this[int column, int row] => (_reads[column, row], _writes[column, row]);

    /// <summary>Draws a trace into cells; in time for the runs and the cells that they cross.</summary>
    public static TraceGrid Draw(PullTrace trace, int columns, int rows)
    {
        var grid = new TraceGrid(columns, rows);
        long order = 0;
        foreach (var run in trace.Runs)
        {
            for (long chunk = run.FirstChunk, end = run.FirstChunk + run.Count; chunk < end;)
            {
                long column = CellOf(chunk, columns, trace.Layout.ChunkCount);
                long row = CellOf(order, rows, trace.TouchedCount);
                long chunksHere = Math.Min(
                    Math.Min(end, StartOf(column + 1, columns, trace.Layout.ChunkCount)) - chunk, StartOf(row + 1, rows, trace.TouchedCount) - order);
                grid.Add((int)column, (int)row, chunksHere, run.IsWrite);
                chunk += chunksHere;
                order += chunksHere;
            }
        }

        return grid;
    }

    private void Add(int column, int row, long count, bool isWrite)
    {
        (isWrite ? _writes : _reads)[column, row] += count;
        Most = Math.Max(Most, _reads[column, row] + _writes[column, row]);
    }

    private static long CellOf(long position, int cells, long length) => (long)((Int128)position * cells / length);

    /// <summary>The first position of a cell.</summary>
    private static long StartOf(long cell, int cells, long length) => (long)((((Int128)cell * length) + cells - 1) / cells);
}
