using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Farspan.Backends;
using Farspan.Cli.Copying;
using Farspan.Cli.Mounting;
using Farspan.Cli.Terminal;
using Farspan.Units;

namespace Farspan.Cli.Demo;

/// <summary>
/// The main job, end to end: data are served over a slow line, mounted, queried, changed, unmounted, and checked at the server. Everything that
/// it makes is gone afterwards, however it ends.
/// </summary>
internal sealed class DemoJob(DemoSettings settings, BackendRegistry registry, Action<string> tell)
{
    private const int LookUps = 20;
    private const int SummedRows = 200;
    private const string NewText = "calibrated by farspan demo";

    private readonly List<DemoStep> _steps = [];
    private DemoServer? _server;
    private (long Received, long Sent) _counted;

    /// <summary>Runs all of it.</summary>
    /// <exception cref="CommandException">A step failed.</exception>
    public async Task<DemoReport> RunAsync(CancellationToken cancellationToken)
    {
        var directory = Directory.CreateTempSubdirectory("farspan-demo-");
        try
        {
            return await RunAsync(directory.FullName, cancellationToken);
        }
        finally
        {
            if (_server is not null)
                await _server.DisposeAsync();
            if (!settings.Keep)
                directory.Delete(recursive: true);
        }
    }

    private async Task<DemoReport> RunAsync(string directory, CancellationToken cancellationToken)
    {
        string? noFuse = settings.AvoidFuse ? "it was not wanted" : await FuseTrial.WhyNotAsync(cancellationToken);
        if (noFuse is not null)
            tell($"FUSE cannot be used here ({noFuse}): the same job runs through the NBD client instead");
        var data = await ChooseDataAsync(canMount: noFuse is null, cancellationToken);
        string file = Path.Combine(directory, data.FileName);
        await StepAsync($"make {data.Description}", async () =>
        {
            await data.CreateAsync(file, settings.FileLength, cancellationToken);
            return ByteSize.Format(new FileInfo(file).Length);
        });
        long length = new FileInfo(file).Length;
        long first = data.RowCount / 3;
        long[] others = [.. Enumerable.Range(1, LookUps).Select(i => data.RowCount * i / (LookUps + 1))];
        string firstExpected = await data.LookUpAsync(file, [first], cancellationToken);
        string othersExpected = await data.LookUpAsync(file, others, cancellationToken);
        string sumExpected = await data.SumAsync(file, data.RowCount / 2, SummedRows, cancellationToken);

        await StepAsync($"serve it over a line of {settings.Line}", async () =>
        {
            _server = await DemoServer.StartAsync(file, Path.Combine(directory, "s"), settings.Line, cancellationToken);
            return "farspan serve";
        });
        double download = await DownloadAsync(directory, length, cancellationToken);

        var before = _counted;
        var mount = noFuse is null ? new DemoMount(_server!.Uri, Path.Combine(directory, "mounted-" + data.FileName)) : null;
        double firstAnswer;
        await using (mount)
        {
            string location = _server!.Uri;
            if (mount is not null)
                await StepAsync("mount it as a file", async () => location = await mount.StartAsync(cancellationToken));
            await ExpectAsync("first answer, through the index", firstExpected, () => data.LookUpAsync(location, [first], cancellationToken));
            firstAnswer = _steps[^1].Seconds + (mount is null ? 0 : _steps[^2].Seconds);
            await ExpectAsync($"{LookUps} more look-ups", othersExpected, () => data.LookUpAsync(location, others, cancellationToken));
            await ExpectAsync($"sum over {SummedRows} rows", sumExpected, () => data.SumAsync(location, data.RowCount / 2, SummedRows, cancellationToken));
            await StepAsync("change a row, make it durable", async () =>
            {
                await data.ChangeAsync(location, first, NewText, cancellationToken);
                return NewText;
            });
            if (mount is not null)
                await StepAsync("unmount", () => mount.StopAsync(cancellationToken));
        }

        double job = _steps.SkipWhile(step => !step.Name.StartsWith("download", StringComparison.Ordinal)).Skip(1).Sum(step => step.Seconds);
        long jobBytes = _counted.Received + _counted.Sent - before.Received - before.Sent;
        await CheckAtServerAsync(data, file, first, firstExpected, cancellationToken);
        return new DemoReport
        {
            Data = data.Description,
            Attachment = noFuse is null ? "fuse" : "nbd",
            NoFuse = noFuse,
            Line = settings.Line,
            FileBytes = length,
            JobBytes = jobBytes,
            FirstAnswerSeconds = firstAnswer,
            DownloadSeconds = download,
            JobSeconds = job,
            Verified = true,
            Steps = _steps,
            Kept = settings.Keep ? directory : null,
        };
    }

    private async Task<IDemoData> ChooseDataAsync(bool canMount, CancellationToken cancellationToken)
    {
        ISqlite? sqlite = canMount && !settings.AvoidSqlite ? await SqliteProgram.FindAsync(cancellationToken) : null;
        sqlite ??= canMount && !settings.AvoidSqlite ? SqliteLibrary.Find() : null;
        return sqlite is null ? new BlockData(registry, usesUri: !canMount) : new SqliteData(sqlite);
    }

    private async Task<double> DownloadAsync(string directory, long length, CancellationToken cancellationToken)
    {
        string copy = Path.Combine(directory, "download");
        await StepAsync("download all of it, to compare", async () =>
        {
            await using var child = DemoChild.Start(["copy", _server!.Uri, $"file:{copy}", "--json"]);
            string line = await child.ReadLineAsync(cancellationToken);
            await child.WaitAsync(cancellationToken);
            var report = JsonSerializer.Deserialize(line, CliJson.Shapes.CopyReport);
            return report?.Length == length ? "farspan copy" : throw new CommandException($"the download has {report?.Length} bytes instead of {length}");
        });
        File.Delete(copy);
        return _steps[^1].Seconds;
    }

    private async Task CheckAtServerAsync(IDemoData data, string file, long row, string before, CancellationToken cancellationToken)
    {
        await StepAsync("stop the server, check its file", async () =>
        {
            var server = _server!;
            await server.StopAsync(cancellationToken);
            string now = await data.LookUpAsync(file, [row], cancellationToken);
            string expected = before.Replace("as measured", NewText, StringComparison.Ordinal);
            if (now != expected || now == before)
                throw new CommandException($"the change did not arrive: the server's file says '{now.Trim()}'");
            return $"the change arrived; {await data.CheckAsync(file, cancellationToken)}";
        });
    }

    private Task ExpectAsync(string name, string expected, Func<Task<string>> ask)
        => StepAsync(name, async () =>
        {
            string answer = await ask();
            if (answer != expected)
                throw new CommandException($"{name}: the answer is '{answer.Trim()}', which should be '{expected.Trim()}'");
            string[] lines = answer.Trim().Split('\n');
            return lines.Length == 1 ? lines[0] : string.Create(CultureInfo.InvariantCulture, $"{lines.Length} right answers");
        });

    private async Task StepAsync(string name, Func<Task<string>> run)
    {
        tell(name);
        long started = Stopwatch.GetTimestamp();
        string result = await run();
        double seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        var before = _counted;
        if (_server is not null)
            _counted = await _server.CountAsync(CancellationToken.None);
        _steps.Add(new DemoStep(
            name, seconds, _server is null ? null : _counted.Sent - before.Sent, _server is null ? null : _counted.Received - before.Received, result));
    }
}
