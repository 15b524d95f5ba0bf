using System.Diagnostics;
using Farspan.Cli.Terminal;
using Farspan.Linux.Fuse;

namespace Farspan.Cli.Mounting;

/// <summary>Ends a mount from outside its process.</summary>
internal sealed class Unmounting(string path, TextWriter notes, ProgressMode progress = ProgressMode.None)
{
    private static readonly TimeSpan ProcessPatience = TimeSpan.FromSeconds(30);

    // Longer than all the steps of an unmount may take together, each of which the mount's process bounds.
    private static readonly TimeSpan AnswerPatience = TimeSpan.FromMinutes(4);

    /// <summary>Unmounts and returns once the mount's process is gone.</summary>
    /// <exception cref="CommandException">Nothing is mounted there, it is in use, or not everything is durable at the remote.</exception>
    public async Task RunAsync(bool lazy, bool force, CancellationToken cancellationToken)
    {
        var record = RuntimeDirectory.Find() is { } directory ? MountRecord.Find(directory, path) : null;
        if (record is null)
            await UnmountUnknownAsync(lazy || force, cancellationToken);
        else if (!record.IsServed)
            await CleanUpAsync(record);
        else if (lazy)
            await DetachAsync(record, cancellationToken);
        else
            await AskAsync(record, force, cancellationToken);
    }

    private async Task AskAsync(MountRecord record, bool force, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(AnswerPatience);
        ControlReply? reply;
        try
        {
            var asking = ControlServer.AskAsync(record.ControlSocket, new ControlRequest(ControlRequest.Umount, force), patience.Token);
            await using (var pushes = record.IsManaged ? new PushWatch(record, notes, progress, () => patience.CancelAfter(AnswerPatience)) : null)
                reply = await asking;
        }
        catch (OperationCanceledException error) when (cancellationToken.IsCancellationRequested)
        {
            throw new CommandException(
                $"no longer waiting for {record.Target}, whose process (pid {record.ProcessId}) goes on by itself; another 'farspan umount {record.Target}' waits for its end and tells how it went", error);
        }
        catch (OperationCanceledException error)
        {
            throw new CommandException(
                $"{record.Target} may still be mounted: its process (pid {record.ProcessId}) did not answer for {AnswerPatience.TotalMinutes:0} minutes; end it, then try again", error);
        }

        if (reply is { Unmounted: false })
            throw new CommandException(Busy(record.Path, reply.Error));
        await WaitForEndAsync(record, cancellationToken);
        if (reply is null)
            throw new CommandException($"{record.Target} was being unmounted already; whether everything is safe at {record.Remote} was told to whoever began it");
        if (reply.Error is not null)
            throw new CommandException($"{record.Target} is unmounted, but not everything is safe at {record.Remote}: {reply.Error}");
    }

    private async Task DetachAsync(MountRecord record, CancellationToken cancellationToken)
    {
        if (!record.IsFile)
            throw new CommandException($"{record.Target} is no file that programs could keep open; leave out --lazy");
        if (MountTable.FileSystemAt(record.Target) is { } other && !MountTable.IsFarspanMount(record.Target))
            throw new CommandException($"{record.Target} cannot be unmounted: {other} is mounted over it; unmount that first");
        await RunUnmountProgramAsync(record.Target, isLazy: true, cancellationToken);
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
        if (!path.StartsWith('/'))
            throw new CommandException($"no Farspan mount of yours is at {path}; 'farspan status' lists those there are");
        string mountPoint = MountTable.IsFarspanMount(path) ? path : Path.GetDirectoryName(path) ?? path;
        if (!MountTable.IsFarspanMount(mountPoint))
            throw new CommandException($"no Farspan mount is at {path}; 'findmnt -t fuse.farspan' lists those there are");
        await RunUnmountProgramAsync(mountPoint, isLazy, cancellationToken);
        await notes.WriteLineAsync($"farspan umount: {mountPoint} is another user's mount: its last flush is not reported here");
    }

    private async Task CleanUpAsync(MountRecord record)
    {
        if (record.IsFile)
            await FuseMount.RemoveDeadAsync(record.Target);
        string note = $"the process of {record.Target} (pid {record.ProcessId}) had died; what it left there is removed"
            + (record.RemoveDead() ? $", and its messages are in {record.Log}" : "");
        if (record.ResumeCommand is { } resume)
            throw new CommandException($"{note}; what programs wrote is kept in {record.Cache}, and this pushes it: {resume}");
        if (!record.ReadOnly)
            throw new CommandException($"{note}; what programs wrote without a later {(record.IsFile ? "fsync" : "flush")} may be lost");
        await notes.WriteLineAsync($"farspan umount: {note}");
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
        while (record.IsServed)
        {
            if (Stopwatch.GetElapsedTime(started) > ProcessPatience)
                throw new CommandException($"{record.Target} is unmounted and flushed, but its process (pid {record.ProcessId}) does not end; look at it, then end it");
            await Task.Delay(5, cancellationToken);
        }
    }
}
