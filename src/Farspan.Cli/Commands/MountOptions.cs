using System.CommandLine;
using System.Text.Json;
using Farspan.Cli.Mounting;
using Farspan.Cli.Terminal;
using Farspan.Linux.Fuse;
using Farspan.Units;

namespace Farspan.Cli.Commands;

/// <summary>The arguments of a mount, and what is done with them: <c>mount</c> and <c>trace record</c> have them alike.</summary>
internal sealed class MountOptions
{
    private readonly Argument<string> _remote = new("REMOTE") { Description = "The backend to mount, such as nbd://host:10809/export." };
    private readonly Argument<string> _target = new("TARGET") { Description = "An absent path or a regular file, which becomes the mounted file; or a directory, which gets the file inside." };
    private readonly ManagedOptions _managed = ManagedOptions.ForMount();
    private readonly ListenOptions _listen = ListenOptions.ForMount();
    private readonly Option<string> _record;
    private readonly Option<string> _via = new("--via") { Description = "How TARGET appears. Only fuse (a file) for now.", DefaultValueFactory = _ => "fuse" };
    private readonly Option<bool> _readOnly = new("--read-only") { Description = "Open and mount for reading only." };
    private readonly Option<bool> _foreground = new("--foreground", "-f") { Description = "Stay, and serve until Ctrl-C or until TARGET is unmounted." };
    private readonly Option<bool> _allowOther = new("--allow-other") { Description = "Let other users use the file, as far as --mode lets them. For users other than root it needs user_allow_other in /etc/fuse.conf." };
    private readonly Option<string> _mode = new("--mode") { Description = "Permissions of the file, in octal.", DefaultValueFactory = _ => "600" };
    private readonly Option<string> _fileName = new("--file-name") { Description = "The file's name where TARGET is a directory.", DefaultValueFactory = _ => "export" };
    private readonly Option<string> _timeout = SharedOptions.Timeout();
    private readonly Option<bool> _json = SharedOptions.Json();
    private readonly Option<bool> _quiet = new("--quiet", "-q") { Description = "Print nothing on success." };

    /// <summary>The arguments, with the option that names the file of the trace.</summary>
    public MountOptions(Option<string> record)
    {
        _record = record;
        _via.AcceptOnlyFromAmong("fuse");
    }

    /// <summary>Gives a verb all of them.</summary>
    public void AddTo(VerbCommand command)
    {
        command.AddArgument(_remote);
        command.AddArgument(_target);
        foreach (var option in (Option[])[.. _managed.All, _record, .. _listen.All, _via, _readOnly, _foreground, _allowOther, _mode, _fileName, _timeout, _json, _quiet])
            command.Add(option);
    }

    /// <summary>Mounts, in this process or in one that goes on in the background.</summary>
    public async Task<int> RunAsync(ParseResult result, CancellationToken cancellationToken)
    {
        var settings = Read(result);
        var output = result.InvocationConfiguration.Output;
        bool isJson = result.GetValue(_json);
        if (result.GetValue(_foreground))
        {
            var running = DetachedChild.IsThisProcess ? DetachedChild.Begin(cancellationToken) : cancellationToken;
            return await ServeAsync(settings, (_, mounted) => Print(result, mounted), running, running, isJson ? output : null);
        }

        if (DetachedChild.IsThisProcess)
            return await ServeDetachedAsync(settings, output, cancellationToken);
        var (line, exitCode) = await DetachedChild.StartAsync(Environment.GetCommandLineArgs()[1..], result.InvocationConfiguration.Error, cancellationToken);
        if (line is not null)
            Print(result, JsonSerializer.Deserialize(line, CliJson.Shapes.MountedFile)!);
        return exitCode;
    }

    private MountSettings Read(ParseResult result)
    {
        var requestTimeout = SharedOptions.ReadTimeout(result.GetValue(_timeout)!);
        return new MountSettings
        {
            Exports = _listen.Read(result),
            Record = result.GetValue(_record) is { } trace ? Path.GetFullPath(trace) : null,
            Managed = _managed.Read(result, requestTimeout),
            Progress = DetachedChild.IsThisProcess ? ProgressMode.None : SharedOptions.ProgressMode(progress: false, result.GetValue(_quiet)),
            Remote = result.GetValue(_remote)!,
            Target = TargetPath.Resolve(result.GetValue(_target)!),
            ReadOnly = result.GetValue(_readOnly),
            Timeout = requestTimeout,
            Fuse = new FuseMountOptions
            {
                AllowOther = result.GetValue(_allowOther),
                Mode = ParseMode(result.GetValue(_mode)!),
                FileName = result.GetValue(_fileName)!,
                ReadOnly = result.GetValue(_readOnly),
            },
        };
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

    private void Print(ParseResult result, MountedFile mounted)
    {
        var output = result.InvocationConfiguration.Output;
        if (result.GetValue(_json))
            output.WriteLine(JsonSerializer.Serialize(mounted, CliJson.Shapes.MountedFile));
        else if (!result.GetValue(_quiet))
            output.WriteLine($"mounted {mounted.Remote} at {mounted.Path}, {ByteSize.Format(mounted.Length)}{(mounted.ReadOnly ? ", read-only" : "")}{Cached(mounted)}{Listening(mounted)}{Recorded(result)}");
    }

    private string Recorded(ParseResult result) => result.GetValue(_record) is { } trace ? $", recorded for {trace}" : "";

    private static string Cached(MountedFile mounted)
        => mounted.LocalBytes is { } local ? $", {ByteSize.Format(local)} local already in {mounted.Cache ?? "memory"}" : ", direct";

    private static string Listening(MountedFile mounted) => mounted.Listens is { } uris ? $", served at {string.Join(" and ", uris)}" : "";

    /// <summary>Permissions in octal.</summary>
    /// <exception cref="FormatException">They are none.</exception>
    internal static UnixFileMode ParseMode(string text)
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
