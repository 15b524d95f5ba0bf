using System.CommandLine;
using Farspan.Cli.Mounting;

namespace Farspan.Cli.Commands;

/// <summary><c>farspan finalize TARGET</c>: has a leech ask for the hand-over now.</summary>
internal static class FinalizeCommand
{
    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var target = new Argument<string>("TARGET") { Description = "What 'farspan leech' was given." };
        var lost = new Option<bool>("--seeder-lost") { Description = "The region is here already, and the host that it came from is lost FOR GOOD: end the move without it, once everything has come. What only that host has never comes, unless a store stands behind the region." };
        var command = new VerbCommand("finalize", "Have a leech ask for the hand-over now, whatever is missing. Returns at once; 'farspan status TARGET' and the leech say how it went.")
        {
            Examples = [("farspan finalize /run/vm.img", "the region comes here now")],
        };
        command.AddArgument(target);
        command.Add(lost);
        command.SetAction(async (result, cancellationToken) =>
        {
            string path = TargetPath.Resolve(result.GetValue(target)!);
            var record = RuntimeDirectory.Find() is { } directory ? MountRecord.Find(directory, path) : null;
            if (record is not { IsServed: true })
                throw new CommandException($"no region comes to {path}; 'farspan status' lists what there is");
            var reply = await ControlServer.AskAsync(record.ControlSocket, new ControlRequest(result.GetValue(lost) ? ControlRequest.ForgetSeeder : ControlRequest.Finalize), cancellationToken)
                ?? throw new CommandException($"the process of {path} (pid {record.ProcessId}) does not answer");
            return reply.Error is null ? ExitCodes.Done : throw new CommandException($"{path}: {reply.Error}");
        });
        return command;
    }
}
