using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Farspan.Backends;
using Farspan.Cli.Copying;
using Farspan.Cli.Terminal;
using Farspan.Units;

namespace Farspan.Cli.Commands;

/// <summary><c>farspan copy SOURCE DESTINATION</c>.</summary>
internal static class CopyCommand
{
    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var source = new Argument<string>("SOURCE") { Description = "The backend to read." };
        var destination = new Argument<string>("DESTINATION") { Description = "The backend to write. A file: or directory: that is absent is made as long as the source." };
        var noSparse = new Option<bool>("--no-sparse") { Description = "Write zeroes like any other byte, instead of leaving them out or zeroing ranges." };
        var resume = new Option<bool>("--resume") { Description = "Read the destination too and write only what differs: goes on with a copy that was cut off." };
        var verify = new Option<bool>("--verify") { Description = "Read both again afterwards and compare." };
        var requests = new Option<int>("--requests") { Description = "Requests at once.", DefaultValueFactory = _ => new CopyOptions().RequestsInFlight };
        var requestSize = new Option<string>("--request-size") { Description = "Bytes of one request, a power of two.", DefaultValueFactory = _ => "1MiB" };
        var timeout = SharedOptions.Timeout();
        var progress = SharedOptions.Progress();
        var quiet = SharedOptions.Quiet();
        var json = SharedOptions.Json();
        var command = new VerbCommand("copy", "Copy one backend onto another, with many requests at once, leaving out what is zero, and make it durable.")
        {
            Examples =
            [
                ("farspan copy nbd://host/export file:copy.img", "a remote into a sparse file, which is made"),
                ("farspan copy file:disk.img nbd://host/export --verify", "a file onto a remote of at least its size"),
                ("farspan copy https://host/disk.img file:disk.img", "an object of a web server, by ranges"),
                ("farspan copy nbd://host/export file:copy.img --resume", "go on where a copy was cut off"),
            ],
        };
        command.AddArgument(source);
        command.AddArgument(destination);
        foreach (var option in (Option[])[noSparse, resume, verify, requests, requestSize, timeout, progress, quiet, json])
            command.Add(option);
        command.SetAction((result, cancellationToken) =>
        {
            long size = ByteSize.Parse(result.GetValue(requestSize)!);
            if (size is < 4096 or > 32 << 20 || !long.IsPow2(size))
                throw new FormatException($"--request-size {result.GetValue(requestSize)}: give a power of two from 4KiB to 32MiB");
            if (result.GetValue(requests) is < 1 or > 256)
                throw new FormatException($"--requests {result.GetValue(requests)}: give 1 to 256");
            var job = new CopyJob
            {
                Source = result.GetValue(source)!,
                Destination = result.GetValue(destination)!,
                Verify = result.GetValue(verify),
                Open = new BackendOpenOptions { Timeout = SharedOptions.ReadTimeout(result.GetValue(timeout)!) },
                Options = new CopyOptions
                {
                    Sparse = !result.GetValue(noSparse),
                    OnlyChanges = result.GetValue(resume),
                    RequestsInFlight = result.GetValue(requests),
                    RequestSize = (int)size,
                },
                Progress = SharedOptions.ProgressMode(result.GetValue(progress), result.GetValue(quiet)),
                ProgressOutput = result.InvocationConfiguration.Error,
            };
            return RunAsync(job, result.InvocationConfiguration.Output, result.GetValue(json), result.GetValue(quiet), cancellationToken);
        });
        return command;
    }

    private static async Task<int> RunAsync(CopyJob job, TextWriter output, bool json, bool quiet, CancellationToken cancellationToken)
    {
        long started = Stopwatch.GetTimestamp();
        var report = await job.RunAsync(Registry.Create(), cancellationToken) with { Seconds = Stopwatch.GetElapsedTime(started).TotalSeconds };
        if (json)
            await output.WriteLineAsync(JsonSerializer.Serialize(report, CliJson.Shapes.CopyReport));
        else if (!quiet)
            await output.WriteLineAsync(report.ToString());
        return ExitCodes.Done;
    }
}
