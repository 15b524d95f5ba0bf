using System.CommandLine;
using System.Text.Json;
using Farspan.Cli.Doctor;
using Farspan.Cli.Terminal;
using Spectre.Console;

namespace Farspan.Cli.Commands;

/// <summary><c>farspan doctor</c>: what this machine can do.</summary>
internal static class DoctorCommand
{
    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var json = SharedOptions.Json();
        var command = new VerbCommand("doctor", "Try what Farspan can use on this machine, and say how to enable what is missing.")
        {
            Examples =
            [
                ("farspan doctor", "a table; exit code 1 when something that Farspan itself needs is broken"),
                ("farspan doctor --json", "the same for a script: {\"ok\":…,\"findings\":[{\"name\":…,\"state\":\"ok|missing|broken\",…}]}"),
            ],
        };
        command.Add(json);
        command.SetAction(async (result, cancellationToken) =>
        {
            var output = result.InvocationConfiguration.Output;
            var report = await Examination.RunAsync(cancellationToken);
            if (result.GetValue(json))
                await output.WriteLineAsync(JsonSerializer.Serialize(report, CliJson.Shapes.DoctorReport));
            else
                Print(report, output);
            return report.Ok ? ExitCodes.Done : throw Broken(report);
        });
        return command;
    }

    private static CommandException Broken(DoctorReport report)
    {
        var first = report.Findings.First(finding => finding.State == FindingState.Broken);
        return new CommandException($"{first.Name} does not work: {first.Detail}; {first.Remedy}");
    }

    private static void Print(DoctorReport report, TextWriter output)
    {
        var table = new Table().Border(TableBorder.None).AddColumns("", "what", "seen", "for");
        foreach (var finding in report.Findings)
        {
            string state = finding.State switch
            {
                FindingState.Ok => "[green]ok[/]",
                FindingState.Missing => "[yellow]missing[/]",
                _ => "[red]broken[/]",
            };
            table.AddRow(state, Markup.Escape(finding.Name), Markup.Escape(finding.Detail), Markup.Escape(finding.For));
        }

        TableOutput.Write(output, table);
        if (!report.Findings.Any(finding => finding.Remedy is not null))
            return;
        output.WriteLine();
        foreach (var finding in report.Findings.Where(finding => finding.Remedy is not null))
            output.WriteLine($"to have {finding.Name}: {finding.Remedy}");
    }
}
