using System.CommandLine;
using Farspan.Cli.Mounting;

namespace Farspan.Cli.Commands;

/// <summary><c>farspan umount TARGET</c>: detaches, and reports whether everything is safe at the remote.</summary>
internal static class UmountCommand
{
    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var target = new Argument<string>("TARGET") { Description = "What 'farspan mount' was given, or the mounted file; or the URI of a mount without a file." };
        var lazy = new Option<bool>("--lazy", "-l") { Description = "Detach at once even while programs use the file; they keep it until they close it. What is written after this is not reported on." };
        var force = new Option<bool>("--force", "-f") { Description = "Detach even while programs use the file, and cut them off when they do not close it within 30 s." };
        var command = new VerbCommand("umount", "Write back, push and flush, detach, close the remote, and say what could not be made durable: how many bytes, and which cache directory keeps them for the next mount. What stands still for 30 s is cut off, which is a failure too. Where the mount's process has died, what it left is removed, and the exit code is 1 unless the mount was read-only.")
        {
            Examples =
            [
                ("farspan umount /mnt/disk.img", "exit code 0: everything is durable at the remote and the process is gone"),
                ("farspan umount /mnt/disk.img --force", "cut off programs that still use it"),
            ],
        };
        command.AddArgument(target);
        command.Add(lazy);
        command.Add(force);
        command.Validators.Add(result =>
        {
            if (result.GetValue(lazy) && result.GetValue(force))
                result.AddError("--lazy and --force exclude each other");
        });
        command.SetAction(async (result, cancellationToken) =>
        {
            var unmounting = new Unmounting(TargetPath.ResolveMount(result.GetValue(target)!), result.InvocationConfiguration.Error, SharedOptions.ProgressMode(progress: false, quiet: false));
            await unmounting.RunAsync(result.GetValue(lazy), result.GetValue(force), cancellationToken);
            return ExitCodes.Done;
        });
        return command;
    }
}
