using System.CommandLine;

namespace Farspan.Cli.Commands;

/// <summary><c>farspan info URI</c>: what a backend or a server offers.</summary>
internal static class InfoCommand
{
    public static Command Create()
    {
        var uri = new Argument<string>("URI") { Description = "The backend or server to ask." };
        var command = new VerbCommand("info", "Say what a backend or an NBD server offers.") { Examples = [("farspan info nbd://127.0.0.1:10809", "every export of a server")] };
        command.Add(uri);
        command.SetAction(result => result.InvocationConfiguration.Output.WriteLine(Farspan.Backends.BackendUri.Parse(result.GetValue(uri)!).Scheme));
        return command;
    }
}
