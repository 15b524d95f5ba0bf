using System.CommandLine;
using System.Text.Json;
using Farspan.Cli.Mounting;
using Farspan.Cli.Terminal;
using Farspan.Units;
using Spectre.Console;

namespace Farspan.Cli.Commands;

/// <summary><c>farspan status [TARGET]</c>: how running mounts are.</summary>
internal static class StatusCommand
{
    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var target = new Argument<string>("TARGET") { Description = "What 'farspan mount' was given, or the mounted file; or the URI of a mount without a file. Without it: all your mounts.", Arity = ArgumentArity.ZeroOrOne };
        var json = SharedOptions.Json();
        var command = new VerbCommand("status", "Say how a running mount is: what is local, what is dirty, what is in flight, and whether the remote answers.")
        {
            Examples =
            [
                ("farspan status", "a table of all your mounts"),
                ("farspan status /mnt/disk.img", "one of them, in full; exit code 1 where nothing is mounted there"),
                ("farspan status /mnt/disk.img --json", "the same for a script: {\"kind\":\"managed\",\"dirtyBytes\":0,…}"),
            ],
        };
        command.AddArgument(target);
        command.Add(json);
        command.SetAction(async (result, cancellationToken) =>
        {
            var output = result.InvocationConfiguration.Output;
            if (result.GetValue(target) is { } text)
            {
                var report = await MountInquiry.AskAsync(TargetPath.ResolveMount(text), cancellationToken);
                if (result.GetValue(json))
                    await output.WriteLineAsync(JsonSerializer.Serialize(report, CliJson.Shapes.MountReport));
                else
                    Print(report, output);
                return ExitCodes.Done;
            }

            var reports = await MountInquiry.AskAllAsync(cancellationToken);
            if (result.GetValue(json))
                await output.WriteLineAsync(JsonSerializer.Serialize(reports, CliJson.Shapes.MountReportArray));
            else
                Print(reports, output);
            return ExitCodes.Done;
        });
        return command;
    }

    private static void Print(MountReport report, TextWriter output)
    {
        var table = new Table().Border(TableBorder.None).HideHeaders().AddColumns("", "");
        foreach (var (name, value) in report.Lines())
            table.AddRow(Markup.Escape(name), Markup.Escape(value));
        TableOutput.Write(output, table);
    }

    private static void Print(MountReport[] reports, TextWriter output)
    {
        if (reports.Length == 0)
        {
            output.WriteLine("no mounts");
            return;
        }

        var table = new Table().Border(TableBorder.None).AddColumns("target", "kind", "state", "size", "local", "dirty", "remote");
        foreach (var report in reports)
        {
            string state = report.OutageSince is null ? report.State : $"{report.State}, outage";
            table.AddRow(new[]
            {
                report.Target, report.Kind, state, Size(report.Length), Size(report.LocalBytes), Size(report.DirtyBytes), report.Remote,
            }.Select(Markup.Escape).ToArray());
        }

        TableOutput.Write(output, table);
        foreach (var report in reports.Where(report => report.ResumeCommand is not null))
            output.WriteLine($"the process of {report.Target} has died; what programs wrote is kept in {report.Cache}, and this pushes it: {report.ResumeCommand}");
    }

    private static string Size(long? bytes) => bytes is { } known ? ByteSize.Format(known) : "-";
}
