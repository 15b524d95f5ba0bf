using System.Globalization;
using System.Text;
using System.Text.Json;
using Farspan.Figures.Policies.Model;
using Farspan.Migration.Finalizing;

namespace Farspan.Figures;

/// <summary>When to hand over: the policies beside each other on the same loads, in virtual time, so that any machine prints the same.</summary>
internal static class PolicyFigure
{
    private const double Megabyte = 1e6;
    private const int SeedsPerRound = 20;
    private const string Auto = "auto";
    private const string Strict = "auto, 30 ms";
    private const string Cycle = "cycle";

    private static readonly JsonSerializerOptions s_json = new() { WriteIndented = true };

    private static readonly (string Name, IFinalizePolicy Policy)[] s_policies =
    [
        (Auto, new AutoFinalize()),
        (Strict, new AutoFinalize(new AutoFinalizeOptions { Target = TimeSpan.FromMilliseconds(30) })),
        (Cycle, new CycleFinalize()),
    ];

    private static readonly WriterLoad[] s_loads =
    [
        Phases(60, 20, 1, 10, 0.1),
        Phases(60, 20, 1, 10, 0.3),
        Phases(100, 20, 1, 10, 0.1),
        Phases(200, 20, 1, 10, 0.1),
        Phases(200, 20, 1, 10, 0.1) with { Name = "200 MB/s for 20 s, 1 MB/s for 10 s, in a quarter of the region", HotChunks = MigrationModel.RegionChunks / 4 },
        Phases(60, 25, 1, 5, 0.1),
        Phases(60, 40, 1, 20, 0.1),
        Phases(100, 20, 30, 10, 0.2),
        Phases(100, 10, 5, 20, 0.2),
        Phases(100, 5, 2, 5, 0.1),
        Phases(100, 4, 1, 1, 0.2),
        Phases(60, 20, 1, 10, 0) with { Name = "60 and 1 MB/s, at random for 20 and 10 s", Random = true },
        Phases(60, 2, 5, 2, 0) with { Name = "60 and 5 MB/s, at random for 2 and 2 s", Random = true },
        Phases(60, 0.5, 5, 0.5, 0) with { Name = "60 and 5 MB/s, at random for half a second each", Random = true },
        .. new double[] { 0, 1, 10, 30, 60, 100, 200 }.Select(rate => WriterLoad.Constant($"{rate} MB/s, constant", rate * Megabyte)),
        WriterLoad.Constant("60 MB/s, constant, in 64 MiB", 60 * Megabyte) with { HotChunks = 1024 },
    ];

    public static async Task RunAsync(FigureOptions options)
    {
        int seeds = SeedsPerRound * options.Rounds;
        var rows = new List<Row>();
        foreach (double roundTrip in (double[])[0.01, 0.1])
        {
            var line = new LineModel(125 * Megabyte, roundTrip);
            foreach (var load in s_loads)
            {
                var outcomes = s_policies.ToDictionary(
                    p => p.Name, p => Enumerable.Range(1, seeds).AsParallel().AsOrdered().Select(seed => new MigrationModel(p.Policy, load, line, seed).Run()).ToList());
                rows.Add(new Row(load.Name, roundTrip, outcomes.ToDictionary(o => o.Key, o => new Means(o.Value))));
            }
        }

        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"# When to ask for the hand-over\n\nMeans of {seeds} seeds, in virtual time: any machine prints the same.\n\n");
        text.Append("| load | round trip | missing at the hand-over, MB: auto | auto, 30 ms | cycle | auto ÷ cycle | auto, 30 ms ÷ cycle | everything there after, s | | | sent, MB | | |\n");
        text.Append("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n");
        foreach (var row in rows)
            text.Append(Line(row)).Append('\n');
        text.Append('\n').Append(Notes);
        Directory.CreateDirectory(options.Output);
        await File.WriteAllTextAsync(Path.Combine(options.Output, "policy.md"), text.ToString());
        await File.WriteAllTextAsync(Path.Combine(options.Output, "policy.json"), JsonSerializer.Serialize(new { seeds, rows }, s_json) + "\n");
        Console.Write(text);
    }

    private static WriterLoad Phases(double busy, double busySeconds, double quiet, double quietSeconds, double jitter)
        => new(
            $"{busy} MB/s for {busySeconds} s, {quiet} MB/s for {quietSeconds} s{(jitter > 0.1 ? $", ± {jitter:P0}" : "")}",
            busy * Megabyte, busySeconds, quiet * Megabyte, quietSeconds) { Jitter = jitter };

    private static string Line(Row row)
    {
        string Each(Func<Means, double> figure, string format)
            => string.Join(" | ", s_policies.Select(p => figure(row.Policies[p.Name]).ToString(format, CultureInfo.InvariantCulture)));
        string Ratio(string other)
        {
            var (theirs, ours) = (row.Policies[other].MissingMegabytes, row.Policies[Cycle].MissingMegabytes);
            return ours > 0 ? $"{theirs / ours:0.0}×" : "–";
        }

        return $"| {row.Load} | {row.RoundTrip * 1e3:0} ms | {Each(m => m.MissingMegabytes, "0.00")} | {Ratio(Auto)} | {Ratio(Strict)} | {Each(m => m.TotalSeconds, "0.0")} | {Each(m => m.SentMegabytes, "0")} |";
    }

    private sealed record Row(string Load, double RoundTrip, Dictionary<string, Means> Policies);

    private sealed record Means(double MissingMegabytes, double MostMissingMegabytes, double DegradedSeconds, double AskedSeconds, double TotalSeconds, double SentMegabytes, double Rounds)
    {
        public Means(List<MigrationOutcome> outcomes)
            : this(
                outcomes.Average(o => o.MissingBytes) / Megabyte, outcomes.Max(o => o.MissingBytes) / Megabyte, outcomes.Average(o => o.DegradedSeconds),
                outcomes.Average(o => o.AskedAt), outcomes.Average(o => o.TotalSeconds), outcomes.Average(o => o.SentBytes) / Megabyte, outcomes.Average(o => o.Rounds))
        {
        }
    }

    private const string Notes = """
        - A region of 1 GiB in chunks of 64 KiB; a line of 1 Gbit/s; the program writes chunks at random, at rates that vary by a fifth from moment to moment, and
          the copy begins at a random moment of its cycle. The three figures of "everything there after" and "sent" are those of auto, auto with 30 ms, and cycle.
        - auto: `AutoFinalize` with its defaults. "auto, 30 ms": the same with a tenth of the target, as strict as `CycleFinalize` is about what is little.
          cycle: `CycleFinalize` with its defaults.
        - What is missing at the hand-over is what the program has to wait for at its new host: at 125 MB/s, 12.5 MB are a tenth of a second.
        - The model is `bench/Farspan.Figures/Policies/Model`: a line that is always as fast, and no program that waits for its own writes. It compares policies, and
          promises nothing of a real network.

        """;
}
