using System.Globalization;
using System.Text;
using System.Text.Json;
using Farspan.Migration.Finalizing;

namespace Farspan.Figures;

/// <summary>The policies beside each other on a real move, of a program that writes much and little by turns; <see cref="PolicyFigure"/> is the model of that.</summary>
internal static class CycleFigure
{
    private const string Line = "rtt=10ms,rate=1Gbit";
    private const int Length = 256 << 20;
    private const double Busy = 60e6;
    private const double Quiet = 1e6;
    private const double Megabyte = 1e6;

    // A program that writes 60 MB/s for 20 s and 1 MB/s for 10 s, at a third of the time scale.
    private static readonly TimeSpan s_busy = TimeSpan.FromSeconds(6);
    private static readonly TimeSpan s_period = TimeSpan.FromSeconds(9);
    private static readonly JsonSerializerOptions s_json = new() { WriteIndented = true };

    private static readonly (string Name, IFinalizePolicy Policy)[] s_policies =
    [
        ("auto", new AutoFinalize()),
        ("after 10 s", new FixedFinalize(TimeSpan.FromSeconds(10))),
        ("cycle", new CycleFinalize()),
    ];

    public static async Task RunAsync(FigureOptions options)
    {
        var moves = new List<Move>();
        for (int round = 0; round < options.Rounds; round++)
        {
            foreach (double offset in new[] { 0.5, 3.5, 6.5 })
            {
                foreach (var (name, policy) in s_policies)
                {
                    moves.Add(await MoveAsync(options, name, policy, offset));
                    await Console.Error.WriteLineAsync(Row($"{name}, begun {offset} s into the cycle", [moves[^1]]));
                }
            }
        }

        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"# When to ask for the hand-over: real moves of a program with phases\n\n{Report.Machine()}\n\n");
        text.Append(CultureInfo.InvariantCulture, $"256 MiB over 1 Gbit/s and 10 ms round trip; the program writes 60 MB/s for 6 s and 1 MB/s for 3 s. Medians [lowest..highest] of {moves.Count / s_policies.Length} moves each.\n\n");
        text.Append("| policy | missing at the hand-over, MB | downtime, ms | longest gap between two writes, ms | from the hand-over until all had come, ms | hand-over after, s | bytes sent ÷ region and written |\n");
        text.Append("| --- | --- | --- | --- | --- | --- | --- |\n");
        foreach (var (name, _) in s_policies)
            text.Append(Row(name, [.. moves.Where(move => move.Policy == name)])).Append('\n');
        text.Append('\n').Append(Notes);
        Directory.CreateDirectory(options.Output);
        await File.WriteAllTextAsync(Path.Combine(options.Output, "migrate-cycle.md"), text.ToString());
        await File.WriteAllTextAsync(
            Path.Combine(options.Output, "migrate-cycle.json"), JsonSerializer.Serialize(new { machine = Report.Machine(), moves }, s_json) + "\n");
        Console.Write(text);
    }

    private static async Task<Move> MoveAsync(FigureOptions options, string name, IFinalizePolicy policy, double offset)
    {
        var program = new MovingProgram(time => time.Ticks % s_period.Ticks < s_busy.Ticks ? Busy : Quiet);
        await using var line = await SharedLine.OpenAsync(options, Line, [(Length, program)]);
        var region = line.Regions[0];
        var wait = TimeSpan.FromSeconds(offset) - TimeSpan.FromTicks(program.Now.Ticks % s_period.Ticks);
        await Task.Delay(wait > TimeSpan.Zero ? wait : wait + s_period);
        await region.LeechAsync(policy);
        await region.CompleteAsync();
        await Task.Delay(200);
        return new Move(
            name, offset, region.MissingAtArrival / Megabyte, program.Downtime.TotalMilliseconds, program.LongestGap.TotalMilliseconds,
            (region.WholeAfter - region.ArrivedAfter).TotalMilliseconds, region.ArrivedAfter.TotalSeconds, (double)region.Received / (Length + region.Written));
    }

    private static string Row(string name, IReadOnlyList<Move> moves)
    {
        string Of(Func<Move, double> figure, string format)
        {
            var sorted = moves.Select(figure).Order().ToList();
            string Text(double value) => value.ToString(format, CultureInfo.InvariantCulture);
            return $"{Text(sorted[sorted.Count / 2])} [{Text(sorted[0])}..{Text(sorted[^1])}]";
        }

        return $"| {name} | {Of(m => m.MissingMegabytes, "0.0")} | {Of(m => m.Downtime, "0")} | {Of(m => m.LongestGap, "0")} | {Of(m => m.PostCopy, "0")} | {Of(m => m.HandedOverAfter, "0.0")} | {Of(m => m.Sent, "0.00")} |";
    }

    private sealed record Move(
        string Policy, double Offset, double MissingMegabytes, double Downtime, double LongestGap, double PostCopy, double HandedOverAfter, double Sent);

    private const string Notes = """
        - Each move begins half a second, 3.5 and 6.5 s into a cycle: twice while the program is busy, and once while it is quiet. `after 10 s` does not look.
        - The longest gap has what the program waits for at its new host; it makes a write every millisecond while it is busy, and every 65 ms while it is quiet, so that a
          hand-over in a quiet phase shows a gap of 65 ms without any downtime.
        - Both hosts, the program and the line share one machine. For other loads, in a model that any machine computes alike, see [policy.md](policy.md).

        """;
}
