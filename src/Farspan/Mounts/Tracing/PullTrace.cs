using Farspan.Chunks;

namespace Farspan.Mounts.Tracing;

/// <summary>
/// In which order a program first touched the chunks of a region: recorded once (<see cref="AccessRecorder"/>), kept in a small file, and used
/// to pull in that order the next time. Immutable.
/// </summary>
public sealed class PullTrace
{
    /// <summary>Makes a trace.</summary>
    /// <param name="length">Bytes of the region, 0 or more.</param>
    /// <param name="chunkSize">Bytes of a chunk: a power of two from 4 KiB to 32 MiB.</param>
    /// <param name="runs">What was touched, in its order; together no more chunks than the region has.</param>
    /// <exception cref="ArgumentException">A value is out of its bounds, or a run reaches past the end.</exception>
    public PullTrace(long length, int chunkSize, IReadOnlyList<PullTraceRun> runs)
    {
        ArgumentNullException.ThrowIfNull(runs);
        ArgumentOutOfRangeException.ThrowIfLessThan(chunkSize, 4096);
        Layout = new ChunkLayout(length, chunkSize);
        Runs = runs;
        foreach (var run in runs)
        {
            if (run.FirstChunk < 0 || run.Count < 1 || run.FirstChunk > Layout.ChunkCount || run.Count > Layout.ChunkCount - run.FirstChunk)
                throw new ArgumentException($"The region has {Layout.ChunkCount} chunks, and {run.Count} from {run.FirstChunk} on are not all inside.", nameof(runs));
            if (run.Count > Layout.ChunkCount - TouchedCount)
                throw new ArgumentException($"More chunks were touched first than the region has, {Layout.ChunkCount}.", nameof(runs));
            TouchedCount += run.Count;
        }
    }

    /// <summary>How the region divides into chunks.</summary>
    public ChunkLayout Layout { get; }

    /// <summary>What was touched, in its order.</summary>
    public IReadOnlyList<PullTraceRun> Runs { get; }

    /// <summary>The number of chunks that were touched.</summary>
    public long TouchedCount { get; }

    /// <summary>The same order for pulling; what was not touched comes after it. The mount's chunks may be of another size.</summary>
    public PullOrder Order => PullOrder.Ranges(Ranges);

    /// <summary>What was touched as ranges of bytes, in its order.</summary>
    public IReadOnlyList<(long Offset, long Length)> Ranges
        => [.. Runs.Select(run => (Layout.OffsetOf(run.FirstChunk), EndOf(run) - Layout.OffsetOf(run.FirstChunk)))];

    /// <summary>Reads a trace from a file.</summary>
    /// <exception cref="FormatException">It is no trace, or a damaged one; the message names the file and the line.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static PullTrace Load(string path)
    {
        using var file = File.OpenRead(path);
        if (file.Length > PullTraceText.LargestFile)
            throw new FormatException($"{path} is no trace: it has {file.Length} bytes, more than a trace may have.");
        byte[] text = new byte[file.Length];
        file.ReadExactly(text);
        try
        {
            return PullTraceText.Read(text);
        }
        catch (FormatException error)
        {
            throw new FormatException($"{path}: {error.Message}", error);
        }
    }

    /// <summary>Reads a trace of a region of <paramref name="length"/> bytes from a file.</summary>
    /// <exception cref="FormatException">It is no trace, or a damaged one, or that of a region of another length.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static PullTrace Load(string path, long length)
    {
        var trace = Load(path);
        return trace.Layout.Length == length
            ? trace
            : throw new FormatException($"{path} is the trace of a region of {trace.Layout.Length} bytes; this one has {length}.");
    }

    /// <summary>Writes the trace to a file; one that is there is replaced as a whole.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    public void Save(string path)
    {
        string unfinished = $"{path}.{Environment.ProcessId}.unfinished";
        try
        {
            File.WriteAllBytes(unfinished, PullTraceText.Write(this));
            File.Move(unfinished, path, overwrite: true);
        }
        catch
        {
            File.Delete(unfinished);
            throw;
        }
    }

    private long EndOf(PullTraceRun run) => Layout.OffsetOf(run.FirstChunk + run.Count - 1) + Layout.LengthOf(run.FirstChunk + run.Count - 1);
}
