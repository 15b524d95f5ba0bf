using System.CommandLine;
using System.Text.Json;
using Farspan.Backends;
using Farspan.Cli.Migration;
using Farspan.Cli.Terminal;
using Farspan.Migration;

namespace Farspan.Cli.Commands;

/// <summary><c>farspan region STORE</c>: who owns a region.</summary>
internal static class RegionCommand
{
    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var store = new Argument<string>("STORE") { Description = "The record directory of a seed or a leech, or the store that it is beside, such as disk.img or file:disk.img." };
        var json = SharedOptions.Json();
        var command = new VerbCommand("region", "Say what this host is to a region that moves: whether it owns it, has handed it over, or is about to get it. Also while it moves.")
        {
            Examples = [("farspan region disk.img", "as disk.img.farspan has it"), ("farspan region /var/lib/db.farspan --json", "for a script: {\"role\":\"owner\",\"mayWrite\":true,…}")],
        };
        command.AddArgument(store);
        command.Add(json);
        command.SetAction(result =>
        {
            string text = result.GetValue(store)!;
            string place = text.StartsWith("file:", StringComparison.Ordinal) || text.StartsWith("directory:", StringComparison.Ordinal) ? BackendUri.Parse(text).Path : text;
            if (RegionFiles.Look(place) is not var (record, holder))
                throw new CommandException($"no region has been seeded or leeched at {place}: there is no record in it or in {place}.farspan");
            var report = new RegionReport(RegionText.Of(record.Role), record.MayWrite, record.Epoch)
            {
                Region = NullIfEmpty(record.Region), Token = NullIfEmpty(record.Token), Holder = holder, Meaning = RegionText.Explain(record.Role),
            };
            var output = result.InvocationConfiguration.Output;
            if (result.GetValue(json))
                output.WriteLine(JsonSerializer.Serialize(report, CliJson.Shapes.RegionReport));
            else
                Print(report, output);
            return ExitCodes.Done;
        });
        return command;
    }

    private static Guid? NullIfEmpty(Guid id) => id == Guid.Empty ? null : id;

    private static void Print(RegionReport report, TextWriter output)
    {
        output.WriteLine($"role    {report.Role}: {report.Meaning}");
        output.WriteLine($"region  {report.Region?.ToString() ?? "not known yet"}");
        output.WriteLine($"epoch   {report.Epoch}");
        if (report.Token is { } token)
            output.WriteLine($"move    {token}");
        output.WriteLine($"held by {report.Holder ?? "no process"}");
    }
}
