using System.Runtime.ExceptionServices;
using Farspan.Backends;
using Farspan.Cli.Terminal;
using Farspan.Linux.Fuse;
using Farspan.Mounts;
using Farspan.Mounts.Tracing;
using Farspan.Units;

namespace Farspan.Cli.Mounting;

/// <summary>Serves one mount until it is unmounted, by whomever, or this process is told to end.</summary>
internal sealed class MountProcess : IAsyncDisposable
{
    private const int RecordedChunk = 64 << 10;

    private static readonly TimeSpan CloseTimeout = new FuseMountOptions().CloseTimeout;

    private readonly MountSettings _settings;
    private readonly IBackend _backend;
    private readonly FuseMount _mount;
    private readonly MountExports _exports;
    private readonly AccessRecorder? _recorder;
    private readonly MountRecord _record;
    private readonly FileStream _lock;
    private readonly ControlServer _control;
    private readonly TaskCompletionSource<string?> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task<Exception?>? _ending;

    private MountProcess(
        MountSettings settings, IBackend backend, AccessRecorder? recorder, FuseMount mount, MountExports exports, MountRecord record, FileStream exclusive)
    {
        _settings = settings;
        _backend = backend;
        _recorder = recorder;
        _mount = mount;
        _exports = exports;
        _record = record;
        _lock = exclusive;
        _control = ControlServer.Start(record.ControlSocket, AnswerAsync);
        Mounted = new MountedFile(mount.Path, record.Target, record.Remote, backend.Length, backend.IsReadOnly, Environment.ProcessId)
        {
            Managed = record.IsManaged,
            Cache = record.Cache,
            Listens = settings.Listen.Count > 0 ? exports.Uris : null,
            LocalBytes = Managed?.Status.LocalBytes,
        };
    }

    /// <summary>What is mounted.</summary>
    public MountedFile Mounted { get; }

    /// <summary>The managed mount that the file shows; null for a direct one.</summary>
    public ManagedBackend? Managed => _backend as ManagedBackend;

    /// <summary>What a managed mount has left, once it has ended; null before, and for a direct one.</summary>
    public ClosedMount? Closed { get; private set; }

    /// <summary>The file that takes this process's messages once it has left its terminal.</summary>
    public string Log => _record.Log;

    /// <summary>Opens the remote and mounts it; returns once TARGET can be used.</summary>
    /// <exception cref="CommandException">TARGET is in use.</exception>
    /// <exception cref="BackendException">The remote cannot be opened.</exception>
    /// <exception cref="MountException">The system refused.</exception>
    public static async Task<MountProcess> StartAsync(MountSettings settings, BackendRegistry registry, CancellationToken cancellationToken)
    {
        string runtimeDirectory = RuntimeDirectory.Create();
        var draft = MountRecord.Create(runtimeDirectory, settings.Target, settings.Target, settings.Remote);
        var exclusive = Lock(draft);
        IBackend? backend = null;
        FuseMount? mount = null;
        MountExports? exports = null;
        try
        {
            if (MountTable.IsFarspanMount(settings.Target) && MountRecord.Find(runtimeDirectory, settings.Target) is { IsServed: true } other)
                throw Taken(settings.Target, other);
            backend = await registry.OpenAsync(
                settings.Remote, new BackendOpenOptions { ReadOnly = settings.ReadOnly, Timeout = settings.Timeout }, cancellationToken);

            // Pulls from here on, while the file is being mounted.
            if (settings.Managed is { } managed)
                backend = await ManagedBackend.OpenAsync(backend, managed.For(settings.RemoteName, backend.Length), cancellationToken);
            var recorder = settings.Record is null ? null : new AccessRecorder(backend, settings.Managed?.Options.ChunkSize ?? RecordedChunk);
            exports = await MountExports.StartAsync(backend, draft.ExportSocket, settings);
            mount = await FuseMount.MountAsync(recorder ?? backend, settings.Target, settings.Fuse, cancellationToken);
            var record = draft with
            {
                Path = mount.Path,
                ReadOnly = backend.IsReadOnly,
                IsManaged = settings.Managed is not null,
                Cache = settings.Managed?.Options.CacheDirectory,
            };
            var process = new MountProcess(settings, backend, recorder, mount, exports, record, exclusive);
            record.Write();
            return process;
        }
        catch
        {
            if (mount is not null)
                await mount.DisposeAsync();
            if (exports is not null)
                await exports.DisposeAsync();
            if (backend is ManagedBackend opened)
                await opened.CloseAsync();
            else if (backend is not null)
                await backend.DisposeAsync();
            draft.Remove(keepLog: false);
            await exclusive.DisposeAsync();
            throw;
        }
    }

    /// <summary>Returns once the mount has ended and the remote is closed; cancelling ends it, whoever uses it.</summary>
    /// <exception cref="BackendException">What was written last may not be durable at the remote.</exception>
    /// <exception cref="MountException">Programs that used the file were cut off, or something did not end in time.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var told = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using (cancellationToken.Register(told.SetResult))
        {
            await Task.WhenAny(_mount.Completion, told.Task);
        }

        if (await EndAsync() is { } failure)
            ExceptionDispatchInfo.Throw(failure);
    }

    /// <summary>Ends what is left: callers on the control socket are answered, the record is removed.</summary>
    public async ValueTask DisposeAsync()
    {
        await EndAsync();
        await _control.DisposeAsync();
        bool hasMessages = new FileInfo(_record.Log) is { Exists: true, Length: > 0 };
        _record.Remove(keepLog: hasMessages);
        await _lock.DisposeAsync();
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
        Exception? failure = null;
        await using (ShowPushes())
        {
            await TryPushAsync();
            try
            {
                await _mount.DisposeAsync();
                await _mount.Completion;
            }
            catch (Exception error)
            {
                failure = error;
            }

            await _exports.DisposeAsync();
            failure ??= SaveTrace();
            try
            {
                await CloseWhileItAdvancesAsync(Task.Run(CloseBackendAsync));
            }
            catch (TimeoutException error)
            {
                failure ??= new MountException($"{_record.Remote} did not close within {CloseTimeout.TotalSeconds:0} s.", error);
            }
            catch (Exception error)
            {
                // That the last flush failed as well says nothing more.
                bool isSame = failure?.Message.StartsWith("The last flush ", StringComparison.Ordinal) ?? true;
                failure = isSame ? error : new MountException($"{failure!.Message} {error.Message}", error);
            }
        }

        _outcome.SetResult(failure?.Message);
        return failure;
    }

    // A close bounds each of its steps, but a remote or a disk may stand still: what is pushed shows that this one does not.
    private async Task CloseWhileItAdvancesAsync(Task closing)
    {
        while (true)
        {
            long before = Managed?.Status.PushedBytes ?? 0;
            try
            {
                await closing.WaitAsync(CloseTimeout + (_settings.Managed?.Options.CloseTimeout ?? TimeSpan.Zero));
                return;
            }
            catch (TimeoutException) when (Managed?.Status.PushedBytes > before)
            {
                // It has time anew.
            }
        }
    }

    private MountException? SaveTrace()
    {
        try
        {
            _recorder?.ToTrace().Save(_settings.Record!);
            return null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return new MountException($"The trace could not be kept in {_settings.Record}: {error.Message}", error);
        }
    }

    private async Task CloseBackendAsync()
    {
        if (Managed is null)
        {
            await _backend.DisposeAsync();
            return;
        }

        var report = await Managed.CloseAsync();
        Closed = new ClosedMount(report.UnpushedBytes, report.KeptIn, report.Error?.Message);
        if (!report.IsComplete)
            throw new MountException(WhatIsLeft(report), report.Error);
        if (report.Error is not null)
            ExceptionDispatchInfo.Throw(report.Error);
    }

    private string WhatIsLeft(MountCloseReport report)
    {
        string kept = report.KeptIn is { } cache
            ? $"they are kept in {cache}, and the next 'farspan mount {_record.Remote} {_record.Target} --cache {cache}' pushes them"
            : "they are lost, for the cache was in memory";
        return $"{ByteSize.Format(report.UnpushedBytes)} ({report.UnpushedBytes} bytes) were not pushed; {kept}{(report.Error is null ? "" : $": {report.Error.Message}")}";
    }

    // However much is dirty, it takes the time that it takes: the steps that follow have little left to do in the time that each has.
    private async Task TryPushAsync()
    {
        try
        {
            if (Managed is { Status: { Outage: null, State: MountState.Open } } && !_mount.Completion.IsCompleted)
                await Managed.FlushAsync();
        }
        catch (Exception error) when (error is BackendException or ObjectDisposedException)
        {
            // The close tries again, and says what is left.
        }
    }

    private ProgressLine? ShowPushes()
    {
        if (Managed is not { } managed)
            return null;
        long total = Dirty(managed);
        long before = managed.Status.PushedBytes;
        return ProgressLine.Start(
            Console.Error, _settings.Progress, "push", total, () => Math.Max(total - Dirty(managed), managed.Status.PushedBytes - before));
    }

    private static long Dirty(ManagedBackend managed) => managed.Status is var status ? status.DirtyBytes + status.DirtyZeroBytes : 0;

    private static FileStream Lock(MountRecord draft)
    {
        try
        {
            return new FileStream(
                draft.LockFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException) when (MountRecord.Find(Path.GetDirectoryName(draft.ControlSocket)!, draft.Target) is { } other)
        {
            throw Taken(draft.Target, other);
        }
        catch (IOException error)
        {
            throw new CommandException($"{draft.Target} is being mounted by another process; wait for it, or 'farspan umount {draft.Target}'", error);
        }
    }

    private static CommandException Taken(string target, MountRecord other)
        => new($"{target} is mounted already, from {other.Remote} (pid {other.ProcessId}); unmount it first: farspan umount {target}");

    private Task<ControlReply> AnswerAsync(ControlRequest request) => request.Verb switch
    {
        ControlRequest.Umount => UnmountAsync(request.Force),
        ControlRequest.Status => Task.FromResult(new ControlReply { Status = Report() }),
        _ => Task.FromResult(new ControlReply { Error = $"This mount's process knows no '{request.Verb}'." }),
    };

    private MountReport Report()
    {
        var report = MountReport.Of(_record, _ending is null ? "open" : "closing") with { Length = _backend.Length };
        return Managed is { } managed ? report.With(managed.Status, _settings.Managed!.Options.Flush) : report;
    }

    private async Task<ControlReply> UnmountAsync(bool isForced)
    {
        try
        {
            await TryPushAsync();
            if (isForced)
                await _mount.DisposeAsync();
            else
                await _mount.UnmountAsync();
        }
        catch (Exception error) when (error is IOException or TimeoutException)
        {
            if (!_mount.Completion.IsCompleted)
                return new ControlReply { Error = error.Message };
        }

        return new ControlReply { Unmounted = true, Error = await _outcome.Task };
    }
}
