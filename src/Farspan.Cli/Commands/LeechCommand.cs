using System.CommandLine;
using Farspan.Cli.Migration;
using Farspan.Cli.Mounting;
using Farspan.Cli.Terminal;
using Farspan.Migration.Finalizing;
using Farspan.Units;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Commands;

/// <summary><c>farspan leech URI TARGET</c>: the host that a region moves to.</summary>
internal static class LeechCommand
{
    private const string Description =
        "Get a region from the host that seeds it, while its program goes on there, and take it over: TARGET is there at once, but what uses it waits until "
        + "the region is this host's. Then it goes on here, while what is missing still comes. Stays until Ctrl-C; with --listen until the next host has leeched it "
        + "from here.";

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var source = new Argument<string>("URI") { Description = "Where it is seeded, such as farspan://host:10900/." };
        var target = new Argument<string>("TARGET") { Description = "An absent path or a regular file, which becomes the file that the program uses." };
        var local = new Option<string>("--local") { Description = "The store that gets the region, such as file:disk.img: made, as long as the region, where it is absent.", HelpName = "BACKEND", Required = true };
        var finalize = new Option<string>("--finalize") { Description = "When to ask for the hand-over: auto, where waiting gains nothing; cycle, in a quiet phase of the program's writes; manual, by SIGUSR1 or 'farspan finalize TARGET'; or after a time such as 30s.", HelpName = "auto|cycle|manual|TIME", DefaultValueFactory = _ => "auto" };
        var others = new Option<string[]>("--source") { Description = "A store that may have some of it, such as an older copy: what has the right digest there need not come. Repeat it for more.", HelpName = "BACKEND", Arity = ArgumentArity.OneOrMore };
        var compress = new Option<bool>("--compress") { Description = "Ask for compressed bytes, for lines that are slower than a processor compresses." };
        var listen = ListenOptions.ForLeech();
        var hooks = new HookOptions("A command that starts the program here, once the region is this host's, run by /bin/sh; it finds FARSPAN_TARGET, FARSPAN_REGION, FARSPAN_EPOCH and FARSPAN_EVENT in its environment.");
        var move = new MoveOptions();
        var verbose = new Option<bool>("--verbose", "-v") { Description = "Say what fails, on standard error." };
        var timeout = SharedOptions.Timeout();
        var quiet = SharedOptions.Quiet();
        var json = SharedOptions.Json();
        var command = new VerbCommand("leech", Description)
        {
            Examples =
            [
                ("farspan leech farspan://host:10900/ /run/vm.img --local file:vm.img --on-resume 'systemctl start vm'", "the whole move"),
                ("farspan leech farspans://host/ /run/vm.img --local file:vm.img --finalize manual", "by TLS; it follows until SIGUSR1 or 'farspan finalize /run/vm.img'"),
                ("farspan leech farspan://host:10900/ /run/vm.img --local file:vm.img --finalize 0s", "hand over at once, and fetch everything afterwards"),
                ("farspan leech farspan://host:10900/ /run/db.img --local file:db.img --listen farspan://127.0.0.1:10901 --on-suspend ./stop --on-resume ./start", "the next host may have it afterwards, without a pause"),
                ("farspan status /run/vm.img", "how far it is"),
            ],
        };
        command.AddArgument(source);
        command.AddArgument(target);
        foreach (var option in (Option[])[local, finalize, others, compress, .. listen.All, .. hooks.All, .. move.All, timeout, verbose, quiet, json])
            command.Add(option);
        command.SetAction(async (result, cancellationToken) =>
        {
            var settings = new LeechSettings
            {
                Source = result.GetValue(source)!,
                Target = TargetPath.Resolve(result.GetValue(target)!),
                Local = result.GetValue(local)!,
                State = move.ReadState(result),
                Behind = move.ReadBehind(result),
                Sources = result.GetValue(others) ?? [],
                Policy = ReadPolicy(result.GetValue(finalize)!),
                Exports = listen.ReadMoving(result, move.ReadName(result)),
                Hooks = hooks.Read(result),
                StepTimeout = hooks.ReadTimeout(result),
                Fuse = move.ReadFuse(result),
                Compress = result.GetValue(compress),
                Timeout = SharedOptions.ReadTimeout(result.GetValue(timeout)!),
                Progress = SharedOptions.ProgressMode(progress: false, result.GetValue(quiet) || result.GetValue(json)),
            };
            var logger = new LineLogger(result.InvocationConfiguration.Error, result.GetValue(verbose) ? LogLevel.Information : LogLevel.Error);
            var output = new MoveOutput(result.InvocationConfiguration.Output, result.GetValue(json));
            if (RegionFiles.DirectoryFor(settings.Local, settings.State) is { } directory && RegionFiles.Look(directory) is { } known && settings.ToSeed(known.Record) is { } seed)
            {
                seed = seed with { ChunkSize = RegionFiles.ChunkSizeIn(directory) ?? seed.ChunkSize };
                await new SeedService(seed, output, logger).RunAsync(Registry.Create(), cancellationToken, Insist());
                return ExitCodes.Done;
            }

            using var service = new LeechService(settings, output, logger);
            await service.RunAsync(Registry.Create(), Insist, cancellationToken);
            return ExitCodes.Done;
        });
        return command;
    }

    private static CancellationToken Insist() => TerminationSignals.Current?.TakeSecond() ?? CancellationToken.None;

    private static IFinalizePolicy ReadPolicy(string text) => text switch
    {
        "auto" => new AutoFinalize(),
        "cycle" => new CycleFinalize(),
        "manual" => new ManualFinalize(),
        _ => DurationText.TryParse(text, out var after) ? new FixedFinalize(after) : throw new FormatException($"--finalize {text}: give auto, cycle, manual, or a time such as 30s"),
    };
}
