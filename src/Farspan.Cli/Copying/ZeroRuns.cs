namespace Farspan.Cli.Copying;

/// <summary>Finds the blocks of zeroes in a buffer.</summary>
internal static class ZeroRuns
{
    /// <summary>A shorter run of zeroes is cheaper to send than to ask for.</summary>
    public const int BlockSize = 64 << 10;

    /// <summary>Splits a buffer, by blocks from its start, into runs that alternate between zero and not; together they are the buffer.</summary>
    public static List<(int Start, int Length, bool IsZero)> Split(ReadOnlySpan<byte> data)
    {
        var runs = new List<(int Start, int Length, bool IsZero)>();
        for (int at = 0; at < data.Length;)
        {
            var block = data.Slice(at, Math.Min(BlockSize, data.Length - at));
            bool isZero = !block.ContainsAnyExcept((byte)0);
            if (runs.Count > 0 && runs[^1].IsZero == isZero)
                runs[^1] = (runs[^1].Start, runs[^1].Length + block.Length, isZero);
            else
                runs.Add((at, block.Length, isZero));
            at += block.Length;
        }

        return runs;
    }
}
