using System.Diagnostics;
using Farspan.Linux.Migration;

namespace Farspan.Figures;

/// <summary>A program at a new host that reads 4 KiB at random places, one after the other, while its region is still coming.</summary>
internal static class DemandReader
{
    private const int Block = 64 << 10;

    // What is here is read in microseconds.
    private static readonly TimeSpan s_wait = TimeSpan.FromMilliseconds(5);

    /// <summary>Reads until everything has come.</summary>
    /// <returns>How long those reads took that had to wait for the line, in milliseconds.</returns>
    public static async Task<List<double>> ReadAsync(Migrator host, int seed)
    {
        byte[] bytes = new byte[4096];
        int[] blocks = [.. Enumerable.Range(0, (int)(host.Backend.Length / Block))];
        new Random(seed).Shuffle(blocks);
        var waits = new List<double>();
        foreach (int block in blocks)
        {
            if (host.Status.MissingBytes == 0)
                break;
            long began = Stopwatch.GetTimestamp();
            await host.Backend.ReadAsync((long)block * Block, bytes);
            var took = Stopwatch.GetElapsedTime(began);
            if (took > s_wait)
                waits.Add(took.TotalMilliseconds);
        }

        return waits;
    }
}
