using System.Buffers;
using System.Globalization;
using System.Text;
using Farspan.Checksums;

namespace Farspan.Mounts.Tracing;

/// <summary>
/// A trace as a file, in ASCII; docs/wire/pull-trace.md describes it.
/// <code>
/// farspan-trace 1
/// length BYTES
/// chunk BYTES
/// r FIRST COUNT       each run; w where it was written
/// end RUNS CRC        CRC-32C of all lines before, eight hexadecimal digits
/// </code>
/// </summary>
internal static class PullTraceText
{
    /// <summary>Some sixteen million runs.</summary>
    public const int LargestFile = 256 << 20;

    private const string Magic = "farspan-trace 1";

    public static byte[] Write(PullTrace trace)
    {
        var text = new ArrayBufferWriter<byte>();
        Add(text, $"{Magic}\nlength {trace.Layout.Length}\nchunk {trace.Layout.ChunkSize}\n");
        foreach (var run in trace.Runs)
            Add(text, $"{(run.IsWrite ? 'w' : 'r')} {run.FirstChunk} {run.Count}\n");
        Add(text, $"end {trace.Runs.Count} {Crc32C.Compute(text.WrittenSpan):x8}\n");
        return text.WrittenSpan.ToArray();
    }

    /// <exception cref="FormatException">It is no trace, or a damaged one.</exception>
    public static PullTrace Read(ReadOnlySpan<byte> text)
    {
        var rest = text;
        if (!TryTakeLine(ref rest, out var line) || !line.SequenceEqual("farspan-trace 1"u8))
            throw new FormatException(line.StartsWith("farspan-trace "u8) ? "a trace of a later version" : "this is no trace");
        long length = Field(ref rest, "length "u8, 2);
        long chunkSize = Field(ref rest, "chunk "u8, 3);
        var runs = new List<PullTraceRun>();
        for (int number = 4; ; number++)
        {
            int position = text.Length - rest.Length;
            if (!TryTakeLine(ref rest, out line))
                throw new FormatException($"the trace ends before its last line, after line {number - 1}");
            if (line.StartsWith("end "u8))
            {
                CheckEnd(line[4..], runs.Count, Crc32C.Compute(text[..position]));
                break;
            }

            if (!TryReadRun(line, out var run))
                throw new FormatException($"line {number} is no run of chunks");
            runs.Add(run);
        }

        if (!rest.IsEmpty)
            throw new FormatException("there is more after the trace's last line");
        try
        {
            return new PullTrace(length, chunkSize <= int.MaxValue ? (int)chunkSize : 0, runs);
        }
        catch (ArgumentException error)
        {
            throw new FormatException($"the trace contradicts itself: {error.Message}", error);
        }
    }

    private static void Add(ArrayBufferWriter<byte> text, FormattableString line)
        => Encoding.ASCII.GetBytes(line.ToString(CultureInfo.InvariantCulture), text);

    private static bool TryTakeLine(ref ReadOnlySpan<byte> rest, out ReadOnlySpan<byte> line)
    {
        int end = rest.IndexOf((byte)'\n');
        line = end < 0 ? default : rest[..end];
        rest = end < 0 ? rest : rest[(end + 1)..];
        return end >= 0;
    }

    private static long Field(ref ReadOnlySpan<byte> rest, ReadOnlySpan<byte> name, int number)
        => TryTakeLine(ref rest, out var line) && line.StartsWith(name) && TryReadNumber(line[name.Length..], out long value)
            ? value
            : throw new FormatException($"line {number} of the trace is not '{Encoding.ASCII.GetString(name)}' and a number");

    private static bool TryReadRun(ReadOnlySpan<byte> line, out PullTraceRun run)
    {
        run = default;
        if (line.Length < 5 || line[0] is not ((byte)'r' or (byte)'w') || line[1] != ' ')
            return false;
        bool isWrite = line[0] == 'w';
        line = line[2..];
        int space = line.IndexOf((byte)' ');
        if (space < 0 || !TryReadNumber(line[..space], out long first) || !TryReadNumber(line[(space + 1)..], out long count))
            return false;
        run = new PullTraceRun(first, count, isWrite);
        return true;
    }

    private static void CheckEnd(ReadOnlySpan<byte> line, int runs, uint checksum)
    {
        int space = line.IndexOf((byte)' ');
        if (space < 0 || !TryReadNumber(line[..space], out long told) || told != runs)
            throw new FormatException($"the trace has {runs} runs, which is not what its last line says");
        if (!uint.TryParse(line[(space + 1)..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint kept) || kept != checksum)
            throw new FormatException("the trace is damaged: its checksum is wrong");
    }

    private static bool TryReadNumber(ReadOnlySpan<byte> digits, out long value)
        => long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out value);
}
