using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Farspan.Cli.Demo;
using Farspan.Cli.Terminal;
using Farspan.Transports;
using Farspan.Units;
using Spectre.Console;

namespace Farspan.Cli.Commands;

/// <summary><c>farspan demo</c>: the main job on real data, with a table of what it measured.</summary>
internal static class DemoCommand
{
    private const long Smallest = 64L << 20;
    private const long Largest = 448L << 20;

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var size = new Option<string>("--size") { Description = "About how many bytes the data have, from 64MiB to 448MiB.", DefaultValueFactory = _ => "256MiB" };
        var line = new Option<string>("--line") { Description = "The simulated line between server and client.", DefaultValueFactory = _ => new DemoSettings().Line };
        var keep = new Option<bool>("--keep") { Description = "Leave the data behind and say where." };
        var noFuse = new Option<bool>("--no-fuse") { Description = "Do without a mounted file, as on a machine without FUSE." };
        var noSqlite = new Option<bool>("--no-sqlite") { Description = "Use generated data with checksums, as on a machine without SQLite." };
        var json = SharedOptions.Json();
        var command = new VerbCommand(
            "demo",
            "Serve a database over a simulated slow line, mount it as a file, query and change it without downloading it, unmount, and check that the change arrived.")
        {
            Examples =
            [
                ("farspan demo", "25 ms and 1 Gbit/s; a table of each step's time and bytes"),
                ("farspan demo --line rtt=100ms,rate=100Mbit", "a worse line"),
                ("farspan demo --json", "the same figures for a script"),
            ],
        };
        foreach (var option in (Option[])[size, line, keep, noFuse, noSqlite, json])
            command.Add(option);
        command.SetAction(async (result, cancellationToken) =>
        {
            var settings = new DemoSettings
            {
                FileLength = ByteSize.Parse(result.GetValue(size)!) is var length and >= Smallest and <= Largest
                    ? length
                    : throw new FormatException($"--size {result.GetValue(size)}: give 64MiB to 448MiB"),
                Line = result.GetValue(line)!,
                Keep = result.GetValue(keep),
                AvoidFuse = result.GetValue(noFuse),
                AvoidSqlite = result.GetValue(noSqlite),
            };
            LinkOptions.Parse(settings.Line);
            bool isJson = result.GetValue(json);
            var output = result.InvocationConfiguration.Output;
            var error = result.InvocationConfiguration.Error;
            var report = await new DemoJob(settings, Registry.Create(), step => (isJson ? error : output).WriteLine(step)).RunAsync(cancellationToken);
            if (isJson)
                await output.WriteLineAsync(JsonSerializer.Serialize(report, CliJson.Shapes.DemoReport));
            else
                Print(report, output);
            return ExitCodes.Done;
        });
        return command;
    }

    private static void Print(DemoReport report, TextWriter output)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumn("step").AddColumn(new TableColumn("time").RightAligned())
            .AddColumn(new TableColumn("from server").RightAligned()).AddColumn(new TableColumn("to server").RightAligned()).AddColumn("result");
        foreach (var step in report.Steps)
        {
            table.AddRow(
                Markup.Escape(step.Name), ProgressLine.Duration(TimeSpan.FromSeconds(step.Seconds)), Bytes(step.FromServer), Bytes(step.ToServer), Markup.Escape(step.Result));
        }

        output.WriteLine();
        TableOutput.Write(output, table);
        string first = ProgressLine.Duration(TimeSpan.FromSeconds(report.FirstAnswerSeconds));
        string download = ProgressLine.Duration(TimeSpan.FromSeconds(report.DownloadSeconds));
        output.WriteLine($"first answer after {first}, against {download} to download the file first");
        output.WriteLine(
            $"the whole job moved {ByteSize.Format(report.JobBytes)} of {ByteSize.Format(report.FileBytes)} over the line, both ways "
            + $"({(100.0 * report.JobBytes / report.FileBytes).ToString("0.##", CultureInfo.InvariantCulture)} %), in {ProgressLine.Duration(TimeSpan.FromSeconds(report.JobSeconds))}");
        if (report.Kept is not null)
            output.WriteLine($"the data are in {report.Kept}");
    }

    private static string Bytes(long? count) => count is { } bytes ? ByteSize.Format(bytes) : "";
}
