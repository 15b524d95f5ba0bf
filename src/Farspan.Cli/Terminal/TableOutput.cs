using Spectre.Console;
using Spectre.Console.Rendering;

namespace Farspan.Cli.Terminal;

/// <summary>Writes tables: as wide as the terminal, in plain text and unbroken where the output is no terminal.</summary>
internal static class TableOutput
{
    private const int WidthOfFiles = 200;

    /// <summary>Writes a table or another shape.</summary>
    public static void Write(TextWriter output, IRenderable shape)
    {
        bool isTerminal = ReferenceEquals(output, Console.Out) && !Console.IsOutputRedirected;
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(output),
            Ansi = isTerminal ? AnsiSupport.Detect : AnsiSupport.No,
            ColorSystem = isTerminal ? ColorSystemSupport.Detect : ColorSystemSupport.NoColors,
            Interactive = InteractionSupport.No,
        });
        if (!isTerminal)
            console.Profile.Width = WidthOfFiles;
        console.Write(shape);
    }
}
