using System.Globalization;
using System.Text.RegularExpressions;

namespace Farspan.Figures;

/// <summary>
/// A running virtual machine of 64 MiB that moves over a line of 1 Gbit/s and 20 ms: by <c>farspan seed</c> and <c>farspan leech</c>, and by QEMU's own ways. The
/// sample MovedMachine does it and checks every page.
/// </summary>
internal static partial class MachineFigure
{
    private static readonly (string Name, string Way)[] s_ways = [("farspan", "farspan"), ("pre-copy", "precopy"), ("post-copy", "postcopy"), ("stop and copy", "stop")];

    private static readonly (string Name, string Unit, string Figure)[] s_questions =
    [
        ("stood still", "ms", "still"), ("longest wait after that", "ms", "later"), ("time lost until everything was there", "ms", "lost"), ("bytes sent", "MiB", "sent"),
        ("until everything was there", "ms", "total"),
    ];

    public static async Task RunAsync(FigureOptions options)
    {
        var contenders = s_ways.Select(way => new Contender(way.Name, way.Way, null)).ToArray();
        var report = new Report("A virtual machine of 64 MiB moves over 1 Gbit/s and 20 ms", [.. contenders.Select(c => c.Name)]);
        foreach (int rate in new[] { 6, 50 })
        {
            var moves = new Dictionary<string, List<Match>>(StringComparer.Ordinal);
            for (int round = 0; round < options.Rounds; round++)
            {
                foreach (var (_, way) in s_ways)
                {
                    moves.TryAdd(way, []);
                    moves[way].Add(await MoveAsync(options, way, rate));
                }
            }

            foreach (var (name, unit, figure) in s_questions)
            {
                var next = s_ways.ToDictionary(way => way.Way, _ => 0);
                await report.MeasureAsync(
                    new Workload(
                        $"its programs write {rate} MiB/s: {name}", unit, MoreIsBetter: false, "",
                        contender => Task.FromResult(double.Parse(moves[contender.Path][next[contender.Path]++].Groups[figure].ValueSpan, CultureInfo.InvariantCulture))),
                    contenders, options.Rounds);
            }
        }

        await report.WriteAsync(
            options.Output, "machine",
            """
            `samples/MovedMachine/run --writes RATE` measures it: a guest without an operating system, emulated, that writes all of its memory page by page, checks it, and prints a line each
            10 ms, which a clock outside of it stamps. Stood still: the longest time without a line around the move. Time lost: what the guest's counter is short of the clock,
            from the beginning until everything was at the new host. Bytes: of both directions, headers included. Both machines, hosts and the line share one computer.

            Farspan has its policy `auto` (300 ms). The others are QEMU's, over one TCP connection, with nothing that limits how fast they send; pre-copy stops the machine when the rest is
            expected to take 30 ms, which suits it better here than the 300 ms that are its default; post-copy is started at once. Farspan keeps each step durable, has the memory in a file at
            both hosts, and compares all of it by digests in the end, which is in its time until everything was there; so is the start of `farspan leech`. QEMU does none of that: a machine
            whose line is lost during its post-copy is lost.

            """);
    }

    private static async Task<Match> MoveAsync(FigureOptions options, string way, int rate)
    {
        string sample = Path.Combine(Path.GetDirectoryName(options.Farspan)!, "samples", "MovedMachine", "run");
        string output = await Shell.RunAsync(sample, "--line", "rtt=20ms,rate=1Gbit", "--memory", "64", "--writes", $"{rate}", way);
        await Console.Error.WriteAsync(output);
        return Line().Match(output) is { Success: true } found ? found : throw new InvalidOperationException($"{sample} said: {output}");
    }

    [GeneratedRegex(
        @"stood still +(?<still>\d+) ms, then at most +(?<later>\d+) ms, lost +(?<lost>-?\d+) ms; .* in all +(?<sent>[\d.]+) MiB in +(?<total>\d+) ms; .* 0 pages wrong",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Line();
}
