using System.Runtime.ExceptionServices;
using Farspan.Backends;
using Farspan.Mounts;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Mounting;

/// <summary>Serves one mount until it is unmounted, by whomever, or this process is told to end.</summary>
internal sealed class MountProcess : IAsyncDisposable
{
    private readonly MountParts _parts;
    private readonly MountEnding _end;
    private readonly ControlServer _control;
    private readonly TaskCompletionSource<string?> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task<Exception?>? _ending;

    private MountProcess(MountParts parts)
    {
        _parts = parts;
        _end = new MountEnding(parts);
        _control = ControlServer.Start(parts.Record.ControlSocket, AnswerAsync);
        var record = parts.Record;
        Mounted = new MountedFile(record.Path, record.Target, record.Remote, parts.Backend.Length, record.ReadOnly, Environment.ProcessId)
        {
            Managed = record.IsManaged,
            Cache = record.Cache,
            Listens = record.Listens,
            LocalBytes = parts.Managed?.Status.LocalBytes,
        };
    }

    /// <summary>What is mounted.</summary>
    public MountedFile Mounted { get; }

    /// <summary>What a managed mount has left, once it has ended; null before, and for a direct one.</summary>
    public ClosedMount? Closed => _end.Closed;

    /// <summary>The file that takes this process's messages once it has left its terminal.</summary>
    public string Log => _parts.Record.Log;

    /// <summary>Opens the remote and mounts it; returns once programs can use it.</summary>
    /// <exception cref="CommandException">TARGET or an address is in use.</exception>
    /// <exception cref="BackendException">The remote cannot be opened.</exception>
    /// <exception cref="MountException">The system refused.</exception>
    public static async Task<MountProcess> StartAsync(
        MountSettings settings, BackendRegistry registry, CancellationToken cancellationToken, ILogger? logger = null)
        => new(await new MountOpening(settings, logger).RunAsync(registry, cancellationToken));

    /// <summary>Returns once the mount has ended and the remote is closed; cancelling ends it, whoever uses it.</summary>
    /// <exception cref="BackendException">What was written last may not be durable at the remote.</exception>
    /// <exception cref="MountException">Programs that used the file were cut off, or something did not end in time.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var told = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using (cancellationToken.Register(told.SetResult))
        {
            await Task.WhenAny(_parts.Attachment.Completion, told.Task);
        }

        if (await EndAsync() is { } failure)
            ExceptionDispatchInfo.Throw(failure);
    }

    /// <summary>Ends what is left: callers on the control socket are answered, the record is removed.</summary>
    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        await _control.DisposeAsync();
        bool hasMessages = new FileInfo(Log) is { Exists: true, Length: > 0 };
        _parts.Record.Remove(keepLog: hasMessages);
        await _parts.Exclusive.DisposeAsync();
        await _parts.Rehearsal.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private Task<Exception?> EndAsync()
    {
        lock (_outcome)
            _ending ??= EndOnceAsync();
        return _ending;
    }

    // Whoever unmounts is told only after this: closing the remote is the last that can fail.
    private async Task<Exception?> EndOnceAsync()
    {
        var failure = await _end.RunAsync();
        _outcome.SetResult(failure?.Message);
        return failure;
    }

    private Task<ControlReply> AnswerAsync(ControlRequest request) => request.Verb switch
    {
        ControlRequest.Umount => UnmountAsync(request.Force),
        ControlRequest.Status => Task.FromResult(new ControlReply { Status = Report() }),
        _ => Task.FromResult(new ControlReply { Error = $"This mount's process knows no '{request.Verb}'." }),
    };

    private MountReport Report()
    {
        var report = MountReport.Of(_parts.Record, _ending is null ? "open" : "closing") with { Length = _parts.Backend.Length };
        return _parts.Managed is { } managed ? report.With(managed.Status, _parts.Settings.Managed!.Options.Flush) : report;
    }

    private async Task<ControlReply> UnmountAsync(bool isForced)
    {
        try
        {
            await _end.TryPushAsync();
            if (isForced)
                await _parts.Attachment.DisposeAsync();
            else
                await _parts.Attachment.UnmountAsync();
        }
        catch (Exception error) when (error is IOException or TimeoutException)
        {
            if (!_parts.Attachment.Completion.IsCompleted)
                return new ControlReply { Error = error.Message };
        }

        return new ControlReply { Unmounted = true, Error = await _outcome.Task };
    }
}
