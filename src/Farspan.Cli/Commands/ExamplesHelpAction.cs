using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Farspan.Cli.Commands;

/// <summary>The library's help text, followed by the verb's examples.</summary>
internal sealed class ExamplesHelpAction(HelpAction inner) : SynchronousCommandLineAction
{
    /// <inheritdoc/>
    public override bool ClearsParseErrors => true;

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        int exitCode = inner.Invoke(parseResult);
        if (parseResult.CommandResult.Command is not VerbCommand { Examples.Count: > 0 } verb)
            return exitCode;
        var output = parseResult.InvocationConfiguration.Output;
        output.WriteLine("Examples:");
        foreach (var (commandLine, meaning) in verb.Examples)
        {
            output.WriteLine($"  {commandLine}");
            output.WriteLine($"      {meaning}");
        }

        output.WriteLine();
        return exitCode;
    }
}
