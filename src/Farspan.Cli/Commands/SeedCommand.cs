using System.CommandLine;
using Farspan.Chunks;
using Farspan.Cli.Migration;
using Farspan.Cli.Mounting;
using Farspan.Cli.Terminal;
using Farspan.Units;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Commands;

/// <summary><c>farspan seed BACKEND TARGET</c>: the host that a region moves away from.</summary>
internal static class SeedCommand
{
    private const string Description =
        "Make a store a file at TARGET that a program uses, and let another host take it over while the program goes on ('farspan leech'). Stays until the "
        + "other host has everything, or until Ctrl-C. For the hand-over the program is suspended; from then on TARGET gives nothing here.";

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var backend = new Argument<string>("BACKEND") { Description = "The store that has the region, such as file:disk.img, file:disk.img?size=1GiB (made when absent) or memory:1GiB." };
        var target = new Argument<string>("TARGET") { Description = "An absent path or a regular file, which becomes the file that the program uses." };
        var listen = ListenOptions.ForSeed();
        var hooks = new HookOptions("A command that lets the program go on where the hand-over failed or was taken back.");
        var move = new MoveOptions();
        var chunk = new Option<string>("--chunk") { Description = "Bytes by which changes are recorded and moved: a power of two from 4KiB to 32MiB.", HelpName = "SIZE", DefaultValueFactory = _ => "64KiB" };
        var takeBack = new Option<bool>("--take-back") { Description = "Take back by force what was handed over, where the new owner is lost FOR GOOD: what its program wrote since the hand-over is lost, and what is here, as old as that, becomes a region of its own." };
        var verbose = new Option<bool>("--verbose", "-v") { Description = "Say who connects and what fails, on standard error." };
        var timeout = SharedOptions.Timeout();
        var json = SharedOptions.Json();
        var command = new VerbCommand("seed", Description)
        {
            Examples =
            [
                ("farspan seed file:vm.img /run/vm.img --program 4711", $"process 4711 uses /run/vm.img, and is stopped for the hand-over; at {ListenOptions.DefaultSeed}, for this machine only"),
                ("farspan seed file:db.img /srv/db.img --freeze /system.slice/db.service --listen farspan://0.0.0.0:10900 --tls-certificates /etc/pki/farspan", "for other machines, by TLS"),
                ("farspan seed memory:1GiB /run/state --on-suspend 'systemctl stop app' --on-resume 'systemctl start app'", "commands stop and start the program"),
                ("farspan region file:vm.img", "who owns it"),
                ("farspan seed file:vm.img /run/vm.img --take-back", "the new owner is lost for good"),
            ],
        };
        command.AddArgument(backend);
        command.AddArgument(target);
        foreach (var option in (Option[])[.. listen.All, .. hooks.All, .. move.All, chunk, takeBack, timeout, verbose, json])
            command.Add(option);
        command.SetAction(async (result, cancellationToken) =>
        {
            var settings = new SeedSettings
            {
                Backend = result.GetValue(backend)!,
                Target = TargetPath.Resolve(result.GetValue(target)!),
                Exports = listen.ReadMoving(result, move.ReadName(result)),
                State = move.ReadState(result),
                Behind = move.ReadBehind(result),
                ChunkSize = ReadChunk(result.GetValue(chunk)!),
                Hooks = hooks.Read(result),
                StepTimeout = hooks.ReadTimeout(result),
                Fuse = move.ReadFuse(result),
                TakeBack = result.GetValue(takeBack),
                Timeout = SharedOptions.ReadTimeout(result.GetValue(timeout)!),
            };
            var logger = new LineLogger(result.InvocationConfiguration.Error, result.GetValue(verbose) ? LogLevel.Information : LogLevel.Error);
            var output = new MoveOutput(result.InvocationConfiguration.Output, result.GetValue(json));
            var insisting = TerminationSignals.Current?.TakeSecond() ?? CancellationToken.None;
            await new SeedService(settings, output, logger).RunAsync(Registry.Create(), cancellationToken, insisting);
            return ExitCodes.Done;
        });
        return command;
    }

    private static int ReadChunk(string text)
    {
        long size = ByteSize.Parse(text);
        return size is >= 4096 and <= ChunkLayout.MaximumChunkSize && long.IsPow2(size)
            ? (int)size
            : throw new FormatException($"--chunk {text}: give a power of two from 4KiB to 32MiB");
    }
}
