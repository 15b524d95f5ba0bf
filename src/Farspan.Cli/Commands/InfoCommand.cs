using System.CommandLine;
using System.Text.Json;
using Farspan.Backends;
using Farspan.Cli.Inspection;
using Farspan.Cli.Terminal;
using Farspan.Nbd.Client;
using Farspan.Units;

namespace Farspan.Cli.Commands;

/// <summary><c>farspan info URI</c>: what a backend or a server offers.</summary>
internal static class InfoCommand
{
    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var uri = new Argument<string>("URI") { Description = "The backend or the NBD server to ask." };
        var map = new Option<bool>("--map") { Description = "List the extents: what is data, what reads as zero, what has no storage." };
        var timeout = SharedOptions.Timeout();
        var json = SharedOptions.Json();
        var command = new VerbCommand("info", "Say what a backend, or every export of an NBD server, offers. Changes nothing.")
        {
            Examples =
            [
                ("farspan info nbd://127.0.0.1:10809", "every export of a server: size, flags, block sizes, contexts"),
                ("farspan info file:disk.img --map", "where a sparse file has data"),
                ("farspan info https://host/disk.img", "whether a web server sends ranges of it"),
                ("farspan info 'nbd+unix:///?socket=/tmp/disk.sock' --json", "the same for a script"),
            ],
        };
        command.AddArgument(uri);
        foreach (var option in (Option[])[map, timeout, json])
            command.Add(option);
        command.SetAction(async (result, cancellationToken) =>
        {
            var open = new BackendOpenOptions { Timeout = SharedOptions.ReadTimeout(result.GetValue(timeout)!) };
            var report = await Inspector.InspectAsync(Registry.Create(), result.GetValue(uri)!, result.GetValue(map), open, cancellationToken);
            var output = result.InvocationConfiguration.Output;
            if (result.GetValue(json))
                await output.WriteLineAsync(JsonSerializer.Serialize(report, CliJson.Shapes.BackendReport));
            else
                Print(report, output);
            return ExitCodes.Done;
        });
        return command;
    }

    private static void Print(BackendReport report, TextWriter output)
    {
        if (report.Server is { } server)
        {
            output.WriteLine(
                $"{report.Uri}: NBD, {server.Protocol}, {(server.IsEncrypted ? "TLS" : "no TLS")}"
                + $"{(server.StructuredReplies ? ", structured replies" : "")}{(server.ExtendedHeaders ? ", extended headers" : "")}");
            foreach (var export in server.Exports)
                Print(export, output);
        }
        else
        {
            output.WriteLine(report.Uri);
            output.WriteLine($"  size: {Size(report.Length!.Value)}{(report.ReadOnly == true ? ", read-only" : "")}");
            if (report.MinimumBlockSize is not null)
                output.WriteLine($"  block sizes: minimum {report.MinimumBlockSize}, preferred {report.PreferredBlockSize}, maximum {report.MaximumBlockSize}");
            output.WriteLine($"  can: {(report.Capabilities.Count == 0 ? "read and write" : string.Join(", ", report.Capabilities))}");
        }

        if (report.Map is not { } map)
            return;
        output.WriteLine($"  data {Size(report.DataBytes!.Value)}, zero {Size(report.ZeroBytes!.Value)}, of which holes {Size(report.HoleBytes!.Value)}");
        foreach (var extent in map)
            output.WriteLine($"  {extent.Offset,16} {extent.Length,16}  {extent.Kind}");
    }

    private static void Print(NbdExportDetails export, TextWriter output)
    {
        string name = export.Name.Length == 0 ? "the default export" : $"export '{export.Name}'";
        output.WriteLine($"  {name}{(string.IsNullOrEmpty(export.Description) ? "" : $": {export.Description}")}");
        if (export.Size is not { } size)
            return;
        output.WriteLine($"    size: {Size(size)}{(export.IsReadOnly ? ", read-only" : "")}{(export.IsRotational ? ", rotational" : "")}");
        (bool Can, string Name)[] flags =
        [
            (export.CanFlush, "flush"), (export.CanForceUnitAccess, "fua"), (export.CanTrim, "trim"), (export.CanZero, "zero"),
            (export.CanZeroFast, "fast-zero"), (export.CanCache, "cache"), (export.CanDontFragment, "df"), (export.CanMultiConnection, "multi-conn"),
        ];
        output.WriteLine($"    can: {string.Join(", ", flags.Where(flag => flag.Can).Select(flag => flag.Name).DefaultIfEmpty("read"))}");
        if (export.MinimumBlockSize is not null)
            output.WriteLine($"    block sizes: minimum {export.MinimumBlockSize}, preferred {export.PreferredBlockSize}, maximum {export.MaximumBlockSize}");
        if (export.Contexts.Count > 0)
            output.WriteLine($"    contexts: {string.Join(", ", export.Contexts)}");
    }

    private static string Size(long bytes) => bytes < 1024 ? $"{bytes} B" : $"{bytes} B ({ByteSize.Format(bytes)})";
}
