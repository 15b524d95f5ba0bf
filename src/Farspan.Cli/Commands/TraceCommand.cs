using System.CommandLine;
using Farspan.Cli.Tracing;
using Farspan.Mounts.Tracing;

namespace Farspan.Cli.Commands;

/// <summary><c>farspan trace</c>: looks at what <c>mount --record</c> has recorded.</summary>
internal static class TraceCommand
{
    private const int Columns = 72;
    private const int Rows = 20;

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var command = new VerbCommand("trace", "Show the order in which a program first touched a mount, as 'farspan mount --record FILE' records it.")
        {
            Examples = [("farspan trace show boot.trace", "a plot in the terminal: the region from left to right, time from top to bottom")],
        };
        command.Add(CreateShow());
        return command;
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
