using System.Diagnostics;

namespace Farspan.Cli.Mounting;

/// <summary>Ends a mount from outside its process.</summary>
internal sealed class Unmounting(string path, TextWriter notes)
{
    private static readonly TimeSpan ProcessPatience = TimeSpan.FromSeconds(30);

    /// <summary>Unmounts and returns once the mount's process is gone.</summary>
    /// <exception cref="CommandException">Nothing is mounted there, it is in use, or not everything is durable at the remote.</exception>
    public async Task RunAsync(bool lazy, bool force, CancellationToken cancellationToken)
    {
        var record = MountRecord.Find(RuntimeDirectory.Path, path);
        if (record is null)
        {
            await UnmountUnknownAsync(lazy || force, cancellationToken);
            return;
        }

        if (lazy)
        {
            await RunUnmountProgramAsync(record.Target, isLazy: true, cancellationToken);
            return;
        }

        var reply = await ControlServer.AskAsync(record.ControlSocket, new UnmountRequest(force), cancellationToken);
        if (reply is null)
        {
            await CleanUpAsync(record, cancellationToken);
            return;
        }

        if (!reply.Unmounted)
            throw new CommandException(Busy(record.Path, reply.Error));
        await WaitForEndAsync(record, cancellationToken);
        if (reply.Error is not null)
            throw new CommandException($"{record.Target} is unmounted, but not everything is safe at {record.Remote}: {reply.Error}");
    }

    private static string Busy(string path, string? error)
    {
        var users = MountUsers.Find(path);
        return users.Count == 0
            ? error ?? $"{path} is in use; close what uses it and try again"
            : $"{path} is in use by {string.Join(", ", users)}; close it and try again, or use --lazy or --force";
    }

    // The record is missing when another user made the mount, or the runtime directory was emptied.
    private async Task UnmountUnknownAsync(bool isLazy, CancellationToken cancellationToken)
    {
        string mountPoint = MountTable.IsFarspanMount(path) ? path : Path.GetDirectoryName(path) ?? path;
        if (!MountTable.IsFarspanMount(mountPoint))
            throw new CommandException($"no Farspan mount is at {path}; 'findmnt -t fuse.farspan' lists those there are");
        await RunUnmountProgramAsync(mountPoint, isLazy, cancellationToken);
        await notes.WriteLineAsync($"farspan umount: {mountPoint} is another user's mount: its last flush is not reported here");
    }

    private async Task CleanUpAsync(MountRecord record, CancellationToken cancellationToken)
    {
        if (MountTable.IsFarspanMount(record.Target))
            await RunUnmountProgramAsync(record.Target, isLazy: true, cancellationToken);
        // What was made to mount on, where nothing was before, has this shape.
        if (new FileInfo(record.Target) is { Exists: true, Length: 0, UnixFileMode: UnixFileMode.UserWrite })
            File.Delete(record.Target);
        bool hasMessages = new FileInfo(record.Log) is { Exists: true, Length: > 0 };
        record.Remove(keepLog: hasMessages);
        await notes.WriteLineAsync(
            $"farspan umount: the process of {record.Target} (pid {record.ProcessId}) had died; what programs wrote there without a later fsync may be lost"
            + (hasMessages ? $"; its messages are in {record.Log}" : ""));
    }

    private async Task RunUnmountProgramAsync(string mountPoint, bool isLazy, CancellationToken cancellationToken)
    {
        string[] arguments = Environment.IsPrivilegedProcess
            ? isLazy ? ["-l", mountPoint] : [mountPoint]
            : isLazy ? ["-u", "-z", mountPoint] : ["-u", mountPoint];
        string name = Environment.IsPrivilegedProcess ? "umount" : "fusermount3";
        string program = Programs.Find(name) ?? throw new CommandException($"{mountPoint} cannot be unmounted: the program {name} is not here; install it");
        var start = new ProcessStartInfo(program, arguments) { UseShellExecute = false, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        string error = await process.StandardError.ReadToEndAsync(cancellationToken);
        await process.WaitForExitAsync(cancellationToken);
        if (process.ExitCode == 0)
            return;
        throw new CommandException(
            error.Contains("busy", StringComparison.OrdinalIgnoreCase) ? Busy(path, error: null) : $"{mountPoint} cannot be unmounted: {error.Trim()}");
    }

    private static async Task WaitForEndAsync(MountRecord record, CancellationToken cancellationToken)
    {
        long started = Stopwatch.GetTimestamp();
        while (Directory.Exists($"/proc/{record.ProcessId}"))
        {
            if (Stopwatch.GetElapsedTime(started) > ProcessPatience)
                throw new CommandException($"{record.Target} is unmounted and flushed, but its process (pid {record.ProcessId}) does not end; look at it, then end it");
            await Task.Delay(5, cancellationToken);
        }
    }
}
