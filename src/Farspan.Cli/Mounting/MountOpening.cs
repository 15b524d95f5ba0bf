using Farspan.Backends;
using Farspan.Cli.Serving;
using Farspan.Linux.Fuse;
using Farspan.Mounts;
using Farspan.Mounts.Tracing;
using Microsoft.Extensions.Logging;

namespace Farspan.Cli.Mounting;

/// <summary>Makes a mount, step by step; what was made is taken down again when a step fails.</summary>
internal sealed class MountOpening(MountSettings settings, ILogger? logger)
{
    private const int RecordedChunk = 64 << 10;

    private ExportListeners? _listeners;
    private MountRecord? _draft;
    private FileStream? _exclusive;
    private IBackend? _backend;
    private MountExports? _exports;
    private FuseMount? _mount;
    private Task _rehearsal = Task.CompletedTask;

    /// <summary>Returns once programs can use it.</summary>
    /// <exception cref="CommandException">TARGET or an address is in use.</exception>
    /// <exception cref="BackendException">The remote cannot be opened.</exception>
    /// <exception cref="MountException">The system refused.</exception>
    public async Task<MountParts> RunAsync(BackendRegistry registry, CancellationToken cancellationToken)
    {
        try
        {
            return await OpenAsync(registry, cancellationToken);
        }
        catch
        {
            await UndoAsync();
            throw;
        }
    }

    private async Task<MountParts> OpenAsync(BackendRegistry registry, CancellationToken cancellationToken)
    {
        // Not when all that was to be recorded is over.
        if (Path.GetDirectoryName(settings.Record) is { } parent && !Directory.Exists(parent))
            throw new CommandException($"the trace cannot be kept in {settings.Record}: there is no directory {parent}");
        string directory = RuntimeDirectory.Create();

        // Without a file, what it is known by is an address, which the system may have chosen.
        string target = settings.Target ?? (_listeners = ExportListeners.Bind(settings.Exports.Listen)).Uris(settings.Exports)[0];
        _draft = MountRecord.Create(directory, target, target, settings.Remote);
        _exclusive = Lock(_draft);
        if (settings.Target is not null && MountTable.IsFarspanMount(target) && MountRecord.Find(directory, target) is { IsServed: true } other)
            throw Taken(target, other);
        _listeners ??= ExportListeners.Bind(settings.Exports.Listen);
        _rehearsal = settings.Managed is null ? Task.CompletedTask : Rehearsal.Start();
        _backend = await registry.OpenAsync(
            settings.Remote, new BackendOpenOptions { ReadOnly = settings.ReadOnly, Timeout = settings.Timeout }, cancellationToken);

        // Pulls from here on, while the file is being mounted.
        if (settings.Managed is { } managed)
            _backend = await ManagedBackend.OpenAsync(_backend, managed.For(settings.RemoteName, _backend.Length), cancellationToken);
        var recorder = settings.Record is null ? null : new AccessRecorder(_backend, settings.Managed?.Options.ChunkSize ?? RecordedChunk);
        bool isReadOnly = settings.Target is not null || settings.ReadOnly;
        _exports = MountExports.Start(_backend, _draft, settings.Exports with { ReadOnly = isReadOnly }, _listeners, logger);
        if (settings.Target is not null)
            _mount = await FuseMount.MountAsync(recorder ?? _backend, settings.Target, settings.Fuse, cancellationToken);
        IAttachment attachment = _mount is null ? new ServedAttachment(_exports) : new FuseAttachment(_mount);
        var record = _draft with
        {
            Path = attachment.Path,
            ReadOnly = _backend.IsReadOnly,
            IsManaged = settings.Managed is not null,
            Cache = settings.Managed?.Options.CacheDirectory,
            Listens = settings.Exports.Listen.Count > 0 ? _exports.Uris : null,
            ExportArguments = settings.Exports.Arguments(),
        };
        record.Write();
        DeadMounts.Prune(directory);
        return new MountParts
        {
            Settings = settings,
            Backend = _backend,
            Attachment = attachment,
            Exports = _exports,
            Recorder = recorder,
            Record = record,
            Exclusive = _exclusive,
            Rehearsal = _rehearsal,
        };
    }

    private async Task UndoAsync()
    {
        if (_mount is not null)
            await _mount.DisposeAsync();
        if (_exports is not null)
            await _exports.DisposeAsync();
        _listeners?.Dispose();
        if (_backend is ManagedBackend opened)
            await opened.CloseAsync();
        else if (_backend is not null)
            await _backend.DisposeAsync();
        await _rehearsal.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_exclusive is null)
            return;
        _draft!.Remove(keepLog: false);
        await _exclusive.DisposeAsync();
    }

    /// <summary>Keeps a target from other processes.</summary>
    /// <exception cref="CommandException">Another process has it.</exception>
    internal static FileStream Lock(MountRecord draft)
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
}
