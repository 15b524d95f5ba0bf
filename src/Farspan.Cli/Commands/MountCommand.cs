using System.CommandLine;
using System.Text.Json;
using Farspan.Cli.Mounting;
using Farspan.Cli.Terminal;
using Farspan.Linux.Fuse;
using Farspan.Units;

namespace Farspan.Cli.Commands;

/// <summary><c>farspan mount REMOTE TARGET</c>: makes a remote an ordinary file.</summary>
internal static class MountCommand
{
    private const string Description =
        "Make a remote visible as an ordinary file at TARGET. Returns once TARGET can be used and leaves a process behind that serves it, "
        + "until 'farspan umount TARGET'. The mount is managed: a local cache holds what was read and written, everything else is pulled in the "
        + "background, what was written is pushed, and fsync returns once it is durable at the remote. --direct does without the cache.";

    /// <summary>The verb.</summary>
    public static Command Create()
    {
        var remote = new Argument<string>("REMOTE") { Description = "The backend to mount, such as nbd://host:10809/export." };
        var target = new Argument<string>("TARGET") { Description = "An absent path or a regular file, which becomes the mounted file; or a directory, which gets the file inside." };
        var managed = new ManagedOptions();
        var listen = new ListenOptions();
        var record = new Option<string>("--record") { Description = "Record in which order the file is first read and written, and keep that in FILE when the mount ends, for --pull-order FILE.", HelpName = "FILE" };
        var via = new Option<string>("--via") { Description = "How TARGET appears. Only fuse (a file) for now.", DefaultValueFactory = _ => "fuse" };
        via.AcceptOnlyFromAmong("fuse");
        var readOnly = new Option<bool>("--read-only") { Description = "Open and mount for reading only." };
        var foreground = new Option<bool>("--foreground", "-f") { Description = "Stay, and serve until Ctrl-C or until TARGET is unmounted." };
        var allowOther = new Option<bool>("--allow-other") { Description = "Let other users use the file, as far as --mode lets them. For users other than root it needs user_allow_other in /etc/fuse.conf." };
        var mode = new Option<string>("--mode") { Description = "Permissions of the file, in octal.", DefaultValueFactory = _ => "600" };
        var fileName = new Option<string>("--file-name") { Description = "The file's name where TARGET is a directory.", DefaultValueFactory = _ => "export" };
        var timeout = SharedOptions.Timeout();
        var json = SharedOptions.Json();
        var quiet = new Option<bool>("--quiet", "-q") { Description = "Print nothing on success." };
        var command = new VerbCommand("mount", Description)
        {
            Examples =
            [
                ("farspan mount nbd://127.0.0.1:10809/ /mnt/disk.img", "any program can now read, write and map /mnt/disk.img"),
                ("farspan mount nbd://127.0.0.1:10809/ /mnt/disk.img --cache ~/disk.cache", "with a cache that outlives a crash, and the mount"),
                ("farspan mount nbd://127.0.0.1:10809/ /mnt/disk.img --direct", "no cache: every access goes to the remote"),
                ("farspan mount 'nbd+unix:///?socket=/tmp/nbdkit.sock' /mnt/other.img", "what another NBD server serves on a Unix socket"),
                ("farspan mount nbd://host/db ~/db.sqlite --read-only --foreground", "stay until Ctrl-C"),
                ("farspan mount nbd://host/disk /mnt/disk.img --listen nbd://127.0.0.1:10810", "NBD clients can read the mount too, and see what is local and dirty"),
                ("farspan mount nbd://host/disk /mnt/disk.img --record boot.trace", "record in which order it is used; --pull-order boot.trace then pulls in that order"),
                ("farspan umount /mnt/disk.img", "end it"),
            ],
        };
        command.AddArgument(remote);
        command.AddArgument(target);
        foreach (var option in (Option[])[.. managed.All, record, .. listen.All, via, readOnly, foreground, allowOther, mode, fileName, timeout, json, quiet])
            command.Add(option);
        command.SetAction(async (result, cancellationToken) =>
        {
            var (listeners, tls) = listen.Read(result);
            var requestTimeout = SharedOptions.ReadTimeout(result.GetValue(timeout)!);
            var settings = new MountSettings
            {
                Listen = listeners,
                Tls = tls,
                Record = result.GetValue(record) is { } trace ? Path.GetFullPath(trace) : null,
                Managed = managed.Read(result, requestTimeout),
                Progress = DetachedChild.IsThisProcess ? ProgressMode.None : SharedOptions.ProgressMode(progress: false, result.GetValue(quiet)),
                Remote = result.GetValue(remote)!,
                Target = TargetPath.Resolve(result.GetValue(target)!),
                ReadOnly = result.GetValue(readOnly),
                Timeout = requestTimeout,
                Fuse = new FuseMountOptions
                {
                    AllowOther = result.GetValue(allowOther),
                    Mode = ParseMode(result.GetValue(mode)!),
                    FileName = result.GetValue(fileName)!,
                    ReadOnly = result.GetValue(readOnly),
                },
            };
            var output = result.InvocationConfiguration.Output;
            var error = result.InvocationConfiguration.Error;
            var report = (MountedFile mounted) => Print(output, mounted, result.GetValue(json), result.GetValue(quiet));
            if (result.GetValue(foreground))
            {
                var running = DetachedChild.IsThisProcess ? DetachedChild.Begin(cancellationToken) : cancellationToken;
                return await ServeAsync(settings, (_, mounted) => report(mounted), running, running, result.GetValue(json) ? output : null);
            }

            if (DetachedChild.IsThisProcess)
                return await ServeDetachedAsync(settings, output, cancellationToken);
            var (line, exitCode) = await DetachedChild.StartAsync(Environment.GetCommandLineArgs()[1..], error, cancellationToken);
            if (line is not null)
                report(JsonSerializer.Deserialize(line, CliJson.Shapes.MountedFile)!);
            return exitCode;
        });
        return command;
    }

    private static Task<int> ServeDetachedAsync(MountSettings settings, TextWriter output, CancellationToken cancellationToken)
    {
        var starting = DetachedChild.Begin(cancellationToken);
        return ServeAsync(settings, Ready, starting, cancellationToken);

        void Ready(MountProcess process, MountedFile mounted)
        {
            // A background process does not keep the directory that it was started in from being unmounted.
            if (!settings.DependsOnWorkingDirectory)
                Environment.CurrentDirectory = "/";
            DetachedChild.Ready(output, JsonSerializer.Serialize(mounted, CliJson.Shapes.MountedFile), process.Log);
        }
    }

    private static async Task<int> ServeAsync(
        MountSettings settings, Action<MountProcess, MountedFile> ready, CancellationToken starting, CancellationToken running, TextWriter? closing = null)
    {
        await using var process = await MountProcess.StartAsync(settings, Registry.Create(), starting);
        ready(process, process.Mounted);
        try
        {
            await process.RunAsync(running);
            return ExitCodes.Done;
        }
        finally
        {
            if (process.Closed is { } closed)
                closing?.WriteLine(JsonSerializer.Serialize(closed, CliJson.Shapes.ClosedMount));
        }
    }

    private static void Print(TextWriter output, MountedFile mounted, bool json, bool quiet)
    {
        if (json)
            output.WriteLine(JsonSerializer.Serialize(mounted, CliJson.Shapes.MountedFile));
        else if (!quiet)
            output.WriteLine($"mounted {mounted.Remote} at {mounted.Path}, {ByteSize.Format(mounted.Length)}{(mounted.ReadOnly ? ", read-only" : "")}{Cached(mounted)}{Listening(mounted)}");
    }

    private static string Cached(MountedFile mounted)
        => mounted.LocalBytes is { } local ? $", {ByteSize.Format(local)} local already in {mounted.Cache ?? "memory"}" : ", direct";

    private static string Listening(MountedFile mounted) => mounted.Listens is { } uris ? $", served at {string.Join(" and ", uris)}" : "";

    private static UnixFileMode ParseMode(string text)
    {
        int mode = 0;
        foreach (char digit in text)
        {
            if (digit is < '0' or > '7')
                throw new FormatException($"'{text}' is no mode; give octal digits such as 600 or 644");
            mode = mode * 8 + (digit - '0');
        }

        return mode <= 0x1FF ? (UnixFileMode)mode : throw new FormatException($"'{text}' is no mode; give at most 777");
    }
}
