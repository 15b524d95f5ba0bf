using Farspan.Cli.Terminal;
using Farspan.Units;

namespace Farspan.Cli.Copying;

/// <summary>What a copy did; with <c>--json</c> its output.</summary>
/// <param name="Length">Bytes of the source.</param>
/// <param name="BytesRead">Bytes read from the source.</param>
/// <param name="BytesWritten">Bytes sent to the destination; zeroes that were left out do not count.</param>
/// <param name="Verified">Whether both were read again and were equal.</param>
/// <param name="Seconds">How long everything took, opening and flushing included.</param>
internal sealed record CopyReport(long Length, long BytesRead, long BytesWritten, bool Verified, double Seconds)
{
    /// <summary>The line for people.</summary>
    public override string ToString()
        => $"copied {ByteSize.Format(Length)} in {ProgressLine.Duration(TimeSpan.FromSeconds(Seconds))} "
            + $"({ByteSize.Format((long)(Length / Math.Max(Seconds, 1e-9)))}/s), {ByteSize.Format(BytesWritten)} written{(Verified ? ", verified" : "")}";
}
