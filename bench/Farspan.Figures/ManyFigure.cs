using System.Globalization;
using System.Text;
using System.Text.Json;
using Farspan.Migration.Finalizing;

namespace Farspan.Figures;

/// <summary>Several regions that move over one line at once: whether one starves, and how long what one waits for stands behind what others copy.</summary>
internal static class ManyFigure
{
    private const string Line = "rtt=25ms,rate=1Gbit";
    private const double LineRate = 125e6;
    private const double WriteRate = 4e6;
    private const int Mebibyte = 1 << 20;

    private static readonly JsonSerializerOptions s_json = new() { WriteIndented = true };

    public static async Task RunAsync(FigureOptions options)
    {
        var counts = new List<Count>();
        foreach (var (regions, length) in new[] { (1, 256 * Mebibyte), (2, 256 * Mebibyte), (3, 256 * Mebibyte), (10, 64 * Mebibyte) })
        {
            var runs = new List<Run>();
            for (int round = 0; round < options.Rounds; round++)
                runs.Add(await MoveAsync(options, regions, length));
            counts.Add(new Count(regions, length, runs));
            await Console.Error.WriteLineAsync(Row(counts[^1]));
        }

        var reads = new List<Reads>();
        foreach (int others in new[] { 0, 1, 3 })
        {
            var waits = new List<double>();
            double seconds = 0;
            for (int round = 0; round < options.Rounds; round++)
            {
                var (some, time) = await ReadBesideAsync(options, others);
                waits.AddRange(some);
                seconds += time / options.Rounds;
            }

            reads.Add(new Reads(others, waits, seconds));
            await Console.Error.WriteLineAsync(Row(reads[^1]));
        }

        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"# Several regions move over one line at once\n\n{Report.Machine()}\n\n");
        text.Append(CultureInfo.InvariantCulture, $"1 Gbit/s and 25 ms round trip, medians of {options.Rounds} rounds.\n\n");
        text.Append("| regions | MiB each | all is there after, s: first | median | last | Jain's index | slowest ÷ fastest | least share of half a second | line used | downtime, ms: median | most | bytes sent ÷ region and written |\n");
        text.Append("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
        counts.ForEach(count => text.Append(Row(count)).Append('\n'));
        text.Append("\n| 64 MiB handed over at once, read at random meanwhile, beside | reads that waited | ms: median | 99 % | most | all is there after, s |\n| --- | --- | --- | --- | --- | --- |\n");
        reads.ForEach(row => text.Append(Row(row)).Append('\n'));
        text.Append('\n').Append(Notes);
        Directory.CreateDirectory(options.Output);
        await File.WriteAllTextAsync(Path.Combine(options.Output, "migrate-many.md"), text.ToString());
        await File.WriteAllTextAsync(
            Path.Combine(options.Output, "migrate-many.json"), JsonSerializer.Serialize(new { machine = Report.Machine(), counts, reads }, s_json) + "\n");
        Console.Write(text);
    }

    private static async Task<Run> MoveAsync(FigureOptions options, int count, int length)
    {
        await using var line = await SharedLine.OpenAsync(options, Line, Enumerable.Range(0, count).Select(_ => (length, new MovingProgram(WriteRate))));
        await Task.Delay(500);
        using var shares = new LineShares(line.Regions);
        shares.Start();
        await Task.WhenAll(line.Regions.Select(region => region.LeechAsync(new AutoFinalize())));
        await Task.WhenAll(line.Regions.Select(region => region.CompleteAsync()));
        await shares.EndAsync();
        return new Run(
            [.. line.Regions.Select(region => region.CompletedAfter.TotalSeconds)],
            [.. line.Regions.Select(region => region.Program.Downtime.TotalMilliseconds)],
            line.Regions.Sum(region => (double)region.Received) / line.Regions.Sum(region => region.Length + region.Written),
            shares.While(LineRate));
    }

    private static async Task<(List<double> Waits, double Seconds)> ReadBesideAsync(FigureOptions options, int others)
    {
        await using var line = await SharedLine.OpenAsync(
            options, Line, Enumerable.Range(0, others + 1).Select(i => (i == 0 ? 64 * Mebibyte : 512 * Mebibyte, new MovingProgram(i == 0 ? 0.1e6 : WriteRate))));
        await Task.Delay(500);
        await Task.WhenAll(line.Regions.Skip(1).Select(region => region.LeechAsync(new ManualFinalize())));
        if (others > 0)
            await Task.Delay(2000);
        var small = line.Regions[0];
        await small.LeechAsync(new FixedFinalize(TimeSpan.Zero));
        await small.Destination.Arrived;
        var waits = await DemandReader.ReadAsync(small.Destination, seed: 5);
        await small.CompleteAsync();
        if (line.Regions.Skip(1).Any(region => region.Destination.Status.ReceivedBytes >= region.Length))
            await Console.Error.WriteLineAsync("A region beside it was copied before the small one was; its reads were alone at the end.");
        return (waits, small.CompletedAfter.TotalSeconds);
    }

    private static string Row(Count count)
    {
        string Of(Func<Run, double> figure, string format) => Median(count.Runs.Select(figure)).ToString(format, CultureInfo.InvariantCulture);
        return $"| {count.Regions} | {count.Length / Mebibyte} | {Of(r => r.Seconds.Min(), "0.0")} | {Of(r => Median(r.Seconds), "0.0")} | {Of(r => r.Seconds.Max(), "0.0")}"
            + $" | {Of(r => r.Shares.Jain, "0.000")} | {Of(r => r.Shares.SlowestToFastest, "0.00")} | {Of(r => r.Shares.LeastShare, "0.00")} | {Of(r => r.Shares.Used, "0 %")}"
            + $" | {Of(r => Median(r.Downtimes), "0.0")} | {Of(r => r.Downtimes.Max(), "0.0")} | {Of(r => r.Sent, "0.00")} |";
    }

    private static string Row(Reads reads)
    {
        var sorted = reads.Waits.Order().ToList();
        string At(double part) => sorted.Count == 0 ? "–" : sorted[(int)Math.Min(sorted.Count - 1, part * sorted.Count)].ToString("0.0", CultureInfo.InvariantCulture);
        string beside = reads.Others switch { 0 => "nothing", 1 => "a region in pre-copy", _ => $"{reads.Others} regions in pre-copy" };
        return string.Create(CultureInfo.InvariantCulture, $"| {beside} | {sorted.Count} | {At(0.5)} | {At(0.99)} | {At(1)} | {reads.Seconds:0.0} |");
    }

    private static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToList();
        return sorted.Count % 2 == 1 ? sorted[sorted.Count / 2] : (sorted[sorted.Count / 2 - 1] + sorted[sorted.Count / 2]) / 2;
    }

    private sealed record Run(List<double> Seconds, List<double> Downtimes, double Sent, ShareFigures Shares);

    private sealed record Count(int Regions, int Length, List<Run> Runs);

    private sealed record Reads(int Others, List<double> Waits, double Seconds);

    private const string Notes = """
        - Each region's program writes 4 MB/s in pieces of 64 KiB at random places, and each is handed over by `AutoFinalize`; all begin at once. Two hosts, the programs
          and the line share one machine.
        - Jain's index, slowest ÷ fastest, the share and the use of the line are of the time in which all were being copied: from when each had something until the first
          was handed over. The least share: in the worst half second, what the slowest got by the mean of all.
        - Reads: 4 KiB each, one after the other, while the rest of that region comes in the background; those that took more than 5 ms had to wait for the line. The
          regions beside it have 512 MiB and began two seconds before.

        """;
}
