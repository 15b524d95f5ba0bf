using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Farspan.Figures;

/// <summary>Collects measurements, and writes them as a Markdown table with ratios and as JSON.</summary>
internal sealed class Report(string title, IReadOnlyList<string> contenders)
{
    private readonly List<Row> _rows = [];

    /// <summary>Takes <paramref name="rounds"/> measurements of each contender, turn by turn, so that the machine's drift meets all alike.</summary>
    public async Task MeasureAsync(Workload workload, IReadOnlyList<Contender> measured, int rounds)
    {
        var samples = measured.ToDictionary(c => c.Name, _ => new List<double>());
        for (int round = 0; round < rounds; round++)
        {
            foreach (var contender in measured)
                samples[contender.Name].Add(await workload.MeasureAsync(contender));
        }

        _rows.Add(new Row(workload, samples));
        await Console.Error.WriteLineAsync(Line(_rows[^1]));
    }

    /// <param name="directory">Where to.</param>
    /// <param name="name">The files' name.</param>
    /// <param name="notes">What a reader has to know of these rows; Markdown.</param>
    public async Task WriteAsync(string directory, string name, string notes = "")
    {
        Directory.CreateDirectory(directory);
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"# {title}\n\n{Machine()}\n\n");
        text.Append("Medians of the rounds (lowest to highest in brackets); contenders take turns within each round. The ratio is how many times better\n");
        text.Append("Farspan is than the best peer in the row; \"pairwise\" is the median of the ratios round by round.\n\n");
        text.Append("| what | unit | ").AppendJoin(" | ", contenders).Append(" | ratio | pairwise | aim |\n|");
        text.Insert(text.Length, " --- |", contenders.Count + 5).Append('\n');
        foreach (var row in _rows)
            text.Append(Line(row)).Append('\n');
        if (notes.Length > 0)
            text.Append('\n').Append(notes);
        await File.WriteAllTextAsync(Path.Combine(directory, $"{name}.md"), text.ToString());
        var json = _rows.Select(r => new { r.Workload.Name, r.Workload.Unit, r.Workload.Aim, r.Samples });
        await File.WriteAllTextAsync(
            Path.Combine(directory, $"{name}.json"), JsonSerializer.Serialize(new { title, machine = Machine(), rows = json }, JsonOptions) + "\n");
        Console.Write(text);
    }

    private static readonly JsonSerializerOptions JsonOptions = new() { WriteIndented = true };

    /// <summary>What it ran on, and how busy that was.</summary>
    public static string Machine()
    {
        string cpu = File.ReadLines("/proc/cpuinfo").FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim() ?? "?";
        string load = File.ReadAllText("/proc/loadavg").Split(' ')[0];
        return $"{cpu}, {Environment.ProcessorCount} processors; Linux {Environment.OSVersion.Version}; {RuntimeInformation.FrameworkDescription}; load average at the end {load}.";
    }

    private string Line(Row row)
    {
        // Where the first of ours takes no part in a row, the next does.
        string us = contenders.First(row.Samples.ContainsKey);
        var own = row.Samples[us];
        double ours = Median(own);

        // Further contenders of our own are for comparison; the ratio is to others' programs.
        var peers = contenders.Where(c => c != us && row.Samples.ContainsKey(c) && !c.StartsWith("farspan", StringComparison.Ordinal)).ToList();
        var best = row.Workload.MoreIsBetter ? peers.MaxBy(p => Median(row.Samples[p])) : peers.MinBy(p => Median(row.Samples[p]));
        string ratio = "–", pairwise = "–";
        if (best is not null)
        {
            ratio = $"{Ratio(row, ours, Median(row.Samples[best])):0.00}×";
            pairwise = $"{Median([.. own.Zip(row.Samples[best], (a, b) => Ratio(row, a, b))]):0.00}×";
        }

        var cells = contenders.Select(c => row.Samples.TryGetValue(c, out var s) ? $"{Number(Median(s))} [{Number(s.Min())}..{Number(s.Max())}]" : "–");
        return $"| {row.Workload.Name} | {row.Workload.Unit} | {string.Join(" | ", cells)} | {ratio} | {pairwise} | {row.Workload.Aim} |";
    }

    private static double Ratio(Row row, double ours, double theirs) => row.Workload.MoreIsBetter ? ours / theirs : theirs / ours;

    private static string Number(double value)
        => value >= 1000 ? value.ToString("N0", CultureInfo.InvariantCulture) : value.ToString("0.##", CultureInfo.InvariantCulture);

    private static double Median(List<double> values)
    {
        var sorted = values.Order().ToList();
        return sorted.Count % 2 == 1 ? sorted[sorted.Count / 2] : (sorted[sorted.Count / 2 - 1] + sorted[sorted.Count / 2]) / 2;
    }

    private sealed record Row(Workload Workload, Dictionary<string, List<double>> Samples);
}
