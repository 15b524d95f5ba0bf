using System.Runtime.ExceptionServices;
using Farspan.Backends;
using Farspan.Linux.Fuse;
using Farspan.Mounts;

namespace Farspan.Cli.Mounting;

/// <summary>Serves one mount until it is unmounted, by whomever, or this process is told to end.</summary>
internal sealed class MountProcess : IAsyncDisposable
{
    private static readonly TimeSpan CloseTimeout = new FuseMountOptions().CloseTimeout;

    private readonly IBackend _backend;
    private readonly FuseMount _mount;
    private readonly MountRecord _record;
    private readonly FileStream _lock;
    private readonly ControlServer _control;
    private readonly TaskCompletionSource<string?> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task<Exception?>? _ending;

    private MountProcess(IBackend backend, FuseMount mount, MountRecord record, FileStream exclusive)
    {
        _backend = backend;
        _mount = mount;
        _record = record;
        _lock = exclusive;
        _control = ControlServer.Start(record.ControlSocket, UnmountAsync);
        Mounted = new MountedFile(mount.Path, record.Target, record.Remote, backend.Length, backend.IsReadOnly, Environment.ProcessId);
    }

    /// <summary>What is mounted.</summary>
    public MountedFile Mounted { get; }

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
        try
        {
            if (MountTable.IsFarspanMount(settings.Target) && MountRecord.Find(runtimeDirectory, settings.Target) is { IsServed: true } other)
                throw Taken(settings.Target, other);
            backend = await registry.OpenAsync(
                settings.Remote, new BackendOpenOptions { ReadOnly = settings.ReadOnly, Timeout = settings.Timeout }, cancellationToken);
            mount = await FuseMount.MountAsync(backend, settings.Target, settings.Fuse, cancellationToken);
            var record = draft with { Path = mount.Path, ReadOnly = backend.IsReadOnly };
            var process = new MountProcess(backend, mount, record, exclusive);
            record.Write();
            return process;
        }
        catch
        {
            if (mount is not null)
                await mount.DisposeAsync();
            if (backend is not null)
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
        try
        {
            await _mount.DisposeAsync();
            await _mount.Completion;
        }
        catch (Exception error)
        {
            failure = error;
        }

        try
        {
            await Task.Run(() => _backend.DisposeAsync().AsTask()).WaitAsync(CloseTimeout);
        }
        catch (TimeoutException error)
        {
            failure ??= new MountException($"{_record.Remote} did not close within {CloseTimeout.TotalSeconds:0} s.", error);
        }
        catch (Exception error)
        {
            failure ??= error;
        }

        _outcome.SetResult(failure?.Message);
        return failure;
    }

    private static FileStream Lock(MountRecord draft)
    {
        try
        {
            return new FileStream(
                Path.ChangeExtension(draft.ControlSocket, ".lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
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

    private async Task<UnmountReply> UnmountAsync(UnmountRequest request)
    {
        try
        {
            if (request.Force)
                await _mount.DisposeAsync();
            else
                await _mount.UnmountAsync();
        }
        catch (Exception error) when (error is IOException or TimeoutException)
        {
            if (!_mount.Completion.IsCompleted)
                return new UnmountReply(Unmounted: false, error.Message);
        }

        return new UnmountReply(Unmounted: true, await _outcome.Task);
    }
}
