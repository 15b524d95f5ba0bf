using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Farspan.Backends;
using Farspan.Linux.Fuse;
using Farspan.Linux.Interop;
using Farspan.Mounts;

namespace Farspan.Linux.Mounts;

/// <summary>
/// A mount that the <c>farspan</c> program serves as a child of this process. It ends when it is unmounted, when it is told to, and when this
/// process ends: its standard input closes then.
/// </summary>
internal sealed class ProgramMountServer : IMountServer
{
    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(5);

    private readonly Process _process;
    private readonly ProgramOutput _output;
    private readonly ProgramOutput _error;
    private readonly FuseMountOptions _options;
    private readonly IFuseMounter _mounter = FuseMounters.ForThisUser();
    private readonly OwnMount _mount;

    private ProgramMountServer(Process process, ProgramOutput error, FuseMountOptions options, JsonElement ready)
    {
        _process = process;
        _output = new ProgramOutput(process.StandardOutput);
        _error = error;
        _options = options;
        Path = ready.GetProperty("path").GetString()!;
        ProcessId = process.Id;
        Length = ready.GetProperty("length").GetInt64();
        IsReadOnly = ready.GetProperty("readOnly").GetBoolean();
        _mount = OwnMount.Find(_mounter, MountInfo.Find(Path) is null ? System.IO.Path.GetDirectoryName(Path)! : Path, device: null);
        Completion = CompleteAsync();
    }

    public string Path { get; }

    public long Length { get; }

    public bool IsReadOnly { get; }

    public int ProcessId { get; }

    public bool IsThisProcess => false;

    public Task Completion { get; }

    /// <summary>Tells a number that grows while the program gets on with what it has to do before it ends; null where it has little to do.</summary>
    public Func<CancellationToken, Task<long>>? Advance { get; set; }

    /// <summary>What the program has printed last, once it has ended; null where that was nothing after it was ready.</summary>
    public Task<string?> LastOutputAsync() => _output.LastLineAsync();

    /// <summary>Starts the program and waits until the file can be used.</summary>
    /// <param name="uri">What is mounted.</param>
    /// <param name="target">Where.</param>
    /// <param name="kind">The program's options that say whether the mount is direct, or how it is managed.</param>
    /// <param name="options">All other options.</param>
    /// <param name="cancellationToken">Gives the mounting up.</param>
    /// <exception cref="MountException">It could not be started, said that it cannot mount, or was not ready in time.</exception>
    public static async Task<ProgramMountServer> StartAsync(
        string uri, string target, IEnumerable<string> kind, DirectMountOptions options, CancellationToken cancellationToken)
    {
        string program = FarspanProgram.Find(options.Program);
        cancellationToken.ThrowIfCancellationRequested();
        var process = Start(program, [.. Arguments(uri, target, options), .. kind]);
        var error = new ProgramOutput(process.StandardError);
        try
        {
            string? line = await process.StandardOutput.ReadLineAsync(cancellationToken).AsTask()
                .WaitAsync(options.Fuse.MountTimeout, options.Fuse.Clock, cancellationToken);
            if (line is null)
            {
                await process.WaitForExitAsync(cancellationToken).WaitAsync(s_grace, options.Fuse.Clock, cancellationToken);
                throw new MountException($"Cannot mount {uri} at {target}: {await error.LastLineAsync() ?? $"{program} ended with exit code {process.ExitCode}"}");
            }

            using var ready = JsonDocument.Parse(line);
            return new ProgramMountServer(process, error, options.Fuse, ready.RootElement);
        }
        catch (Exception failure)
        {
            await GiveUpAsync(process, target);
            throw failure switch
            {
                TimeoutException => new MountException($"{program} did not mount {uri} at {target} within {options.Fuse.MountTimeout.TotalSeconds:0} s.", failure),
                JsonException or KeyNotFoundException or InvalidOperationException => new MountException($"{program} is no farspan program of this version.", failure),
                _ => failure,
            };
        }
    }

    public async Task UnmountAsync(CancellationToken cancellationToken)
    {
        long start = _options.Clock.GetTimestamp();
        bool? isUnmounted = true;
        while (!Completion.IsCompleted && (isUnmounted = await TryUnmountAsync()) == false)
        {
            if (_options.Clock.GetElapsedTime(start) > _options.BusyTimeout)
                throw FuseMount.InUse(_mount.Path);
            await Task.Delay(TimeSpan.FromMilliseconds(10), _options.Clock, cancellationToken);
        }

        if (isUnmounted is null)
            _ = Libc.Kill(ProcessId, Libc.SIGTERM);

        await EndedAsync(_options.CloseTimeout + _options.CloseTimeout, cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        bool? isUnmounted = false;
        try
        {
            isUnmounted = Completion.IsCompleted ? true : await TryUnmountAsync();
        }
        catch (MountException)
        {
            // It is told to end, which takes down what can be.
        }

        if (isUnmounted != true && !Completion.IsCompleted)
            _ = Libc.Kill(ProcessId, Libc.SIGTERM);
        await EndedAsync(_options.CloseTimeout + _options.CloseTimeout + s_grace, CancellationToken.None);
    }

    private static List<string> Arguments(string uri, string target, DirectMountOptions options)
    {
        List<string> arguments =
        [
            "mount", uri, target, "--foreground", "--json", "--file-name", options.Fuse.FileName,
            "--mode", Convert.ToString((int)options.Fuse.Mode, 8),
            "--timeout", string.Create(CultureInfo.InvariantCulture, $"{(long)Math.Ceiling(options.Backend.Timeout.TotalMilliseconds)}ms"),
        ];
        if (options.ReadOnly || options.Fuse.ReadOnly)
            arguments.Add("--read-only");
        if (options.Fuse.AllowOther)
            arguments.Add("--allow-other");
        return arguments;
    }

    private static Process Start(string program, List<string> arguments)
    {
        try
        {
            var start = new ProcessStartInfo(program, arguments)
            {
                UseShellExecute = false,
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            // Tells the program that it is a child: it leaves the terminal's signals to its parent, and ends when its input does.
            start.Environment["FARSPAN_DETACHED"] = "1";
            return Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception error)
        {
            throw new MountException($"Cannot start {program}: {error.Message}", error);
        }
    }

    private static async Task GiveUpAsync(Process process, string target)
    {
        // Asked to end first, so that it takes down what it may have mounted.
        process.StandardInput.Close();
        try
        {
            await process.WaitForExitAsync().WaitAsync(s_grace);
        }
        catch (TimeoutException)
        {
            // With what it started: a program that starts the real one is no reason to leave that behind.
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync();
            CleanUp(target, FuseMounters.ForThisUser());
        }

        process.Dispose();
    }

    private static void CleanUp(string target, IFuseMounter mounter)
    {
        try
        {
            MountTarget.CleanUpAfterDeath(target, mounter);
        }
        catch (MountException)
        {
            // What made the program end says more; the next mount tries again, and says why it cannot.
        }
    }

    // Null: it stands still, and the program is to cut it off, which says what is lost.
    private async Task<bool?> TryUnmountAsync()
    {
        var unmounting = Task.Factory.StartNew(
            () => _mount.TryUnmount(isLazy: false), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            return await unmounting.WaitAsync(_options.CloseTimeout, _options.Clock);
        }
        catch (TimeoutException)
        {
            return null;
        }
    }

    private async Task EndedAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        for (long before = -1; !Completion.IsCompleted;)
        {
            try
            {
                await Task.WhenAny(Completion).WaitAsync(patience, _options.Clock, cancellationToken);
            }
            catch (TimeoutException)
            {
                long now = Advance is null ? before : await Advance(cancellationToken);
                if (now <= before)
                {
                    _process.Kill(entireProcessTree: true);
                    break;
                }

                before = now;
            }
        }

        await Completion;
    }

    private async Task CompleteAsync()
    {
        await _process.WaitForExitAsync();
        int exitCode = _process.ExitCode;
        string? said = await _error.LastLineAsync();
        await _output.LastLineAsync();
        _process.Dispose();
        if (exitCode == 0)
            return;
        CleanUp(_mount.Path, _mounter);
        // Past 128 stands the signal that ended it; then nothing is known of what it had not flushed.
        throw exitCode > 128 || said is null
            ? new MountException($"The process that served {Path} ended {(exitCode > 128 ? $"by signal {exitCode - 128}" : $"with exit code {exitCode}")}; what was not flushed may be lost.")
            : new BackendException(BackendError.InputOutput, said);
    }
}
