using System.CommandLine;
using Farspan.Cli.Tracing;
using Farspan.Mounts.Tracing;

namespace Farspan.Cli.Commands;

/// <summary><c>farspan trace</c>: records in which order a program touches a mount, and shows it.</summary>
internal static class TraceCommand
{
    private const int Columns = 72;
    private const int Rows = 20;

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var command = new VerbCommand("trace", "Record the order in which a program first touches a mount, and show it.")
        {
            Examples =
            [
                ("farspan trace record nbd://host/disk /mnt/disk.img --output boot.trace", "mount, and record until it is unmounted"),
                ("farspan trace show boot.trace", "a plot in the terminal: the region from left to right, time from top to bottom"),
            ],
        };
        command.Add(CreateRecord());
        command.Add(CreateShow());
        return command;
    }

    private static VerbCommand CreateRecord()
    {
        var output = new Option<string>("--output", "-o") { Description = "The trace, written when the mount ends.", HelpName = "FILE", Required = true };
        var options = new MountOptions(output);
        var record = new VerbCommand("record", "Mount REMOTE at TARGET as 'farspan mount' does, with its options, and record in which order the file is first read and written. The trace is written when the mount ends: at 'farspan umount TARGET', or with --foreground at Ctrl-C.")
        {
            Examples =
            [
                ("farspan trace record nbd://host/disk /mnt/disk.img --output boot.trace", "then run the program on /mnt/disk.img, then 'farspan umount /mnt/disk.img'"),
                ("farspan mount nbd://host/disk /mnt/disk.img --pull-order boot.trace", "from then on, what the program needs comes first"),
            ],
        };
        options.AddTo(record);
        record.SetAction(options.RunAsync);
        return record;
    }

    private static VerbCommand CreateShow()
    {
        var file = new Argument<string>("FILE") { Description = "The trace." };
        var svg = new Option<string>("--svg") { Description = "Write the plot as an SVG picture instead.", HelpName = "OUT.svg" };
        var show = new VerbCommand("show", "Draw a trace.")
        {
            Examples =
            [
                ("farspan trace show boot.trace", "in characters"),
                ("farspan trace show boot.trace --svg boot.svg", "as a picture"),
            ],
        };
        show.AddArgument(file);
        show.Add(svg);
        show.SetAction(result =>
        {
            var trace = PullTrace.Load(result.GetValue(file)!);
            if (result.GetValue(svg) is { } picture)
                File.WriteAllText(picture, TracePicture.Svg(trace));
            else
                result.InvocationConfiguration.Output.Write(TracePicture.Text(trace, Columns, Rows));
            return ExitCodes.Done;
        });
        return show;
    }
}
