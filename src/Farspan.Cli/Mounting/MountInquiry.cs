namespace Farspan.Cli.Mounting;

/// <summary>Asks the processes of this user's mounts how they are.</summary>
internal static class MountInquiry
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(5);

    /// <summary>Asks the mount at a target, or of a mounted file.</summary>
    /// <exception cref="CommandException">None is there, or its process has died.</exception>
    public static async Task<MountReport> AskAsync(string target, CancellationToken cancellationToken)
    {
        var record = RuntimeDirectory.Find() is { } directory ? MountRecord.Find(directory, target) : null;
        if (record is null)
            throw new CommandException($"no Farspan mount of yours is at {target}; 'farspan status' lists those there are");
        var report = await AskAsync(record, cancellationToken);
        return report.State != "dead"
            ? report
            : throw new CommandException($"the process of {record.Target} (pid {record.ProcessId}) has died; {WhatToDo(record)}");
    }

    /// <summary>Asks all of them, at once; those that have died and leave nothing to do are forgotten.</summary>
    public static async Task<MountReport[]> AskAllAsync(CancellationToken cancellationToken)
    {
        if (RuntimeDirectory.Find() is not { } directory)
            return [];
        DeadMounts.Prune(directory);
        var records = MountRecord.List(directory);
        return await Task.WhenAll(records.OrderBy(record => record.Target, StringComparer.Ordinal).Select(record => AskAsync(record, cancellationToken)));
    }

    /// <summary>Asks one; where its process does not answer in time, that is the answer.</summary>
    public static async Task<MountReport> AskAsync(MountRecord record, CancellationToken cancellationToken)
    {
        if (!record.IsServed)
            return MountReport.Of(record, "dead");
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(s_patience);
        try
        {
            var reply = await ControlServer.AskAsync(record.ControlSocket, new ControlRequest(ControlRequest.Status), patience.Token);
            return reply?.Status ?? MountReport.Of(record, "closing");
        }
        catch (Exception error) when (error is IOException || (error is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return MountReport.Of(record, "silent");
        }
    }

    private static string WhatToDo(MountRecord record)
        => $"'farspan umount {ShellWord.Quote(record.Target)}' cleans up"
            + (record.ResumeCommand is { } resume ? $"; what programs wrote is kept in {record.Cache}, and this pushes it: {resume}" : "");
}
