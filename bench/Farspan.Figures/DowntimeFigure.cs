using System.Diagnostics;
using System.Globalization;
using System.Text;
using Farspan.Linux;
using Farspan.Migration;
using Farspan.Migration.Finalizing;
using Farspan.Mounts;
using Farspan.Mounts.Caching;

namespace Farspan.Figures;

/// <summary>Where the milliseconds of a hand-over at 1 ms round trip go: whole moves of a small region, and their steps by themselves, by turns.</summary>
internal static class DowntimeFigure
{
    private const string Line = "rtt=1ms,rate=1Gbit";
    private const int Length = 16 << 20;
    private const int MovesPerRound = 10;

    public static async Task RunAsync(FigureOptions options)
    {
        var samples = new Dictionary<string, List<double>>();
        void Add(string what, TimeSpan took)
        {
            if (!samples.TryGetValue(what, out var list))
                samples.Add(what, list = []);
            list.Add(took.TotalMilliseconds);
        }

        var linux = new ManagedMountOptions().WithLinuxFiles();
        await using var files = CacheDirectory.Open(Path.Combine(options.Scratch, "record"), linux.OpenCacheFile, linux.SyncDirectory);
        var record = RegionRecord.Begin(Guid.NewGuid());
        var kept = new RegionRecordFile(files);
        await kept.WriteAsync(record);
        for (int i = 0; i < options.Rounds * MovesPerRound; i++)
        {
            await using (var line = await SharedLine.OpenAsync(options, Line, [(Length, new MovingProgram(5e6))]))
            {
                var region = line.Regions[0];
                await region.LeechAsync(new ManualFinalize(TimeSpan.FromMilliseconds(100)));
                await Shell.WaitAsync("the copy", () => region.Destination.Status.MissingBytes < Length / 8);
                await Task.Delay(200);
                region.Destination.RequestHandOver();
                await region.CompleteAsync();
                Add("whole: the program stands still", region.Program.Downtime);
                Add("whole: from the leecher's request until its program may run", region.Destination.Status.HandOverTime ?? default);
                Add("the program stops, once it was told to", region.Program.StoppingTime);
            }

            long began = Stopwatch.GetTimestamp();
            await kept.WriteAsync(record);
            Add("a record, written in its place", Stopwatch.GetElapsedTime(began));
            began = Stopwatch.GetTimestamp();
            await new RegionRecordFile(files).WriteAsync(record);
            Add("a record, as a new file that is given the name", Stopwatch.GetElapsedTime(began));
            kept = new RegionRecordFile(files);
            await kept.ReadAsync();
            began = Stopwatch.GetTimestamp();
            await Task.Run(static () => { });
            Add("one hop to another thread of the pool", Stopwatch.GetElapsedTime(began));
        }

        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"# Where a hand-over's time goes, at 1 ms round trip\n\n{Report.Machine()}\n\n");
        text.Append("| | times | median, ms | lowest | 90 % | highest |\n| --- | --- | --- | --- | --- | --- |\n");
        foreach (var (what, list) in samples)
        {
            list.Sort();
            text.Append(CultureInfo.InvariantCulture, $"| {what} | {list.Count} | {list[list.Count / 2]:0.00} | {list[0]:0.00} | {list[list.Count * 9 / 10]:0.00} | {list[^1]:0.00} |\n");
        }

        text.Append('\n').Append(Notes);
        Directory.CreateDirectory(options.Output);
        await File.WriteAllTextAsync(Path.Combine(options.Output, "migrate-downtime.md"), text.ToString());
        Console.Write(text);
    }

    private const string Notes = """
        A hand-over keeps two records while the program stands still, one on each host, besides a round trip and the stop of the program. Both hosts, the program and the
        line share one machine and one disk.

        """;
}
