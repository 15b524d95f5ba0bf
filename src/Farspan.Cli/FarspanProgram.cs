using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.CommandLine.Parsing;
using Farspan.Cli.Commands;

namespace Farspan.Cli;

/// <summary>The <c>farspan</c> program: parses the command line, runs the verb, and turns every failure into one line and an exit code.</summary>
internal static class FarspanProgram
{
    /// <summary>Runs one command line and returns its exit code.</summary>
    public static async Task<int> RunAsync(string[] arguments, TextWriter output, TextWriter error)
    {
        var root = CreateRoot();
        var result = root.Parse(arguments);
        string verb = Verb(result.CommandResult);
        if (result.Action is ParseErrorAction)
            return Fail(error, verb, UsageError(result.Errors[0].Message is var wrong && wrong.StartsWith("Required argument", StringComparison.Ordinal) ? Missing(result.CommandResult) : wrong, verb), ExitCodes.Usage);

        using var signals = new TerminationSignals();
        var configuration = new InvocationConfiguration
        {
            Output = output,
            Error = error,
            EnableDefaultExceptionHandler = false,
            ProcessTerminationTimeout = null,
        };
        try
        {
            return await result.InvokeAsync(configuration, signals.Token);
        }
        catch (OperationCanceledException) when (signals.Token.IsCancellationRequested)
        {
            return Fail(error, verb, $"stopped by {signals.Name}", ExitCodes.Failed);
        }
        catch (CommandException failure)
        {
            return Fail(error, verb, failure.Message, failure.ExitCode);
        }
        catch (FormatException failure)
        {
            return Fail(error, verb, failure.Message, ExitCodes.Usage);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or System.Net.Sockets.SocketException)
        {
            return Fail(error, verb, failure.Message, ExitCodes.Failed);
        }
        catch (Exception failure)
        {
            Fail(error, verb, $"{failure.GetType().Name}: {failure.Message}", ExitCodes.Failed);
            if (Environment.GetEnvironmentVariable("FARSPAN_TRACE") == "1")
                await error.WriteLineAsync(failure.ToString());
            return ExitCodes.Failed;
        }
    }

    /// <summary>The whole command tree.</summary>
    internal static Command CreateRoot()
    {
        // A RootCommand takes its name from the assembly, which is not what users type.
        var help = new HelpOption { Recursive = true };
        help.Action = new ExamplesHelpAction((HelpAction)help.Action!);
        var root = new VerbCommand("farspan", "Farspan makes bytes that are far away an ordinary file, memory or block device.")
        {
            Examples = [("farspan VERB --help", "what a verb does, with examples")],
        };
        root.Add(help);
        root.Add(new VersionOption());
        root.Add(DemoCommand.Create());
        root.Add(ServeCommand.Create());
        root.Add(MountCommand.Create());
        root.Add(UmountCommand.Create());
        root.Add(StatusCommand.Create());
        root.Add(SeedCommand.Create());
        root.Add(LeechCommand.Create());
        root.Add(FinalizeCommand.Create());
        root.Add(RegionCommand.Create());
        root.Add(CopyCommand.Create());
        root.Add(InfoCommand.Create());
        root.Add(UffdAgentCommand.Create());
        root.Add(TraceCommand.Create());
        root.Add(DoctorCommand.Create());
        root.SetAction(result =>
        {
            root.Parse(["--help"]).Invoke(result.InvocationConfiguration);
            return ExitCodes.Usage;
        });
        return root;
    }

    // With the verb it belongs to: " trace show".
    private static string Verb(CommandResult result) => result.Parent is CommandResult parent ? $"{Verb(parent)} {result.Command.Name}" : "";

    // The library says only that something is missing.
    private static string Missing(CommandResult result)
    {
        var missing = result.Command.Arguments.Where(a => a.Arity.MinimumNumberOfValues > 0 && result.GetResult(a) is not { Tokens.Count: > 0 }).Select(a => a.Name).ToArray();
        return $"{string.Join(" and ", missing)} {(missing.Length == 1 ? "is" : "are")} missing";
    }

    private static int Fail(TextWriter error, string verb, string message, int exitCode)
    {
        error.WriteLine($"farspan{verb}: {OneLine(message)}");
        return exitCode;
    }

    private static string UsageError(string message, string verb)
    {
        string text = OneLine(message).TrimEnd('.');
        bool isName = text.Length > 1 && char.IsUpper(text[1]);
        text = text.Length > 0 ? (isName ? text : char.ToLowerInvariant(text[0]) + text[1..]) : "wrong usage";
        return $"{text}; see farspan{verb} --help";
    }

    private static string OneLine(string message) => message.ReplaceLineEndings(" ").Trim();
}
