using Farspan.Backends;
using Farspan.Linux.Files;
using Farspan.Linux.Interop;
using Farspan.Mounts;

namespace Farspan.Linux.Mounts;

/// <summary>
/// A backend mounted without a local cache, in its three forms: the path, for any program; a file, by <see cref="OpenFile"/>; memory, by
/// <see cref="OpenMemory"/>. Close it with <see cref="CloseAsync"/>, which reports what went wrong. Thread-safe.
/// </summary>
public sealed class DirectMount : IAsyncDisposable
{
    private readonly IMountServer _server;
    private readonly FileWorkers _workers;
    private readonly HashSet<IDisposable> _forms = [];
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _closing = new(1, 1);
    private bool _isClosing;
    private bool _isReported;

    internal DirectMount(IMountServer server, long length, bool isReadOnly, DirectMountOptions options)
    {
        _server = server;
        _workers = new FileWorkers(options.FileThreads);
        Length = length;
        IsReadOnly = isReadOnly;
    }

    /// <summary>The mounted file's absolute path.</summary>
    public string Path => _server.Path;

    /// <summary>Number of bytes.</summary>
    public long Length { get; }

    /// <summary>Whether it is mounted for reading only.</summary>
    public bool IsReadOnly { get; }

    /// <summary>Whether <see cref="OpenMemory"/> is possible: another process serves the file.</summary>
    public bool CanOpenMemory => !_server.IsThisProcess;

    /// <summary>The process that serves the file: this one, or the <c>farspan</c> program.</summary>
    public int ServerProcessId => _server.ProcessId;

    /// <summary>Where the mount is in its life.</summary>
    public MountState State
        => !Completion.IsCompleted ? Volatile.Read(ref _isClosing) ? MountState.Closing : MountState.Open
            : Completion.IsCompletedSuccessfully ? MountState.Closed
            : MountState.Faulted;

    /// <summary>Completes once the mount has ended, by whomever, with what went wrong on the way. Nobody has to wait for it.</summary>
    public Task Completion => _server.Completion;

    /// <summary>Opens the mounted file. It is closed with the mount at the latest.</summary>
    /// <param name="access">Reading, writing, or both. Default: both, or reading where the mount is read-only.</param>
    /// <exception cref="BackendException">The file cannot be opened so.</exception>
    /// <exception cref="ObjectDisposedException">The mount is closed.</exception>
    public RemoteFile OpenFile(FileAccess? access = null)
    {
        var wanted = access ?? (IsReadOnly ? FileAccess.Read : FileAccess.ReadWrite);
        return Register(() => new RemoteFile(OpenDescriptor(wanted), Path, Length, wanted, _workers, Forget));
    }

    /// <summary>Maps the mounted file into this process. It is unmapped with the mount at the latest.</summary>
    /// <exception cref="InvalidOperationException">
    /// This process serves the file itself: a garbage collection would wait for a page that only this process can bring.
    /// </exception>
    /// <exception cref="BackendException">It cannot be mapped.</exception>
    /// <exception cref="ObjectDisposedException">The mount is closed.</exception>
    public MountedMemory OpenMemory()
    {
        if (!CanOpenMemory)
        {
            throw new InvalidOperationException(
                $"{Path} is served by this process and cannot be mapped here; mount it by URI without a registry, so that the farspan program serves it.");
        }

        return Register(() => new MountedMemory(OpenDescriptor(IsReadOnly ? FileAccess.Read : FileAccess.ReadWrite), Path, Length, IsReadOnly, _workers, Forget));
    }

    /// <summary>
    /// Closes every opened form, unmounts, waits for what is running, flushes, and reports. When programs still use the file this throws, and
    /// the mount stays open. Closing again reports the same again.
    /// </summary>
    /// <exception cref="MountException">The file is in use, or something did not end in time.</exception>
    /// <exception cref="BackendException">Not everything that was written has reached the remote.</exception>
    public Task CloseAsync(CancellationToken cancellationToken = default)
        => EndAsync(() => _server.UnmountAsync(cancellationToken), cancellationToken);

    /// <summary>Closes, and cuts off programs that still use the file. Throws only what no call to <see cref="CloseAsync"/> has thrown before.</summary>
    /// <exception cref="MountException">Programs were cut off, or something did not end in time.</exception>
    /// <exception cref="BackendException">Not everything that was written has reached the remote.</exception>
    public async ValueTask DisposeAsync()
    {
        if (!Volatile.Read(ref _isReported))
            await EndAsync(() => _server.DisposeAsync().AsTask(), CancellationToken.None);
    }

    private async Task EndAsync(Func<Task> end, CancellationToken cancellationToken)
    {
        await _closing.WaitAsync(cancellationToken);
        try
        {
            Volatile.Write(ref _isClosing, value: true);
            CloseForms();
            if (!Completion.IsCompleted)
                await end();
            await Completion;
        }
        finally
        {
            _isReported |= Completion.IsCompleted;
            Volatile.Write(ref _isClosing, value: false);
            if (Completion.IsCompleted)
                await _workers.DisposeAsync();
            _closing.Release();
        }
    }

    private void CloseForms()
    {
        IDisposable[] forms;
        lock (_lock)
            forms = [.. _forms];
        foreach (var form in forms)
            form.Dispose();
    }

    private SafeDescriptor OpenDescriptor(FileAccess access)
    {
        int flags = access switch
        {
            FileAccess.Read => Libc.O_RDONLY,
            FileAccess.Write => Libc.O_WRONLY,
            _ => Libc.O_RDWR,
        };
        var descriptor = new SafeDescriptor(Libc.Open(Path, flags | Libc.O_CLOEXEC, 0));
        return descriptor.IsInvalid ? throw LinuxError.Exception(LinuxError.Last, $"opening {Path}") : descriptor;
    }

    private T Register<T>(Func<T> open)
        where T : IDisposable
    {
        ObjectDisposedException.ThrowIf(State != MountState.Open, this);
        var form = open();
        lock (_lock)
            _forms.Add(form);
        if (State == MountState.Open)
            return form;
        // Closing has begun, and may have looked at the opened forms before.
        form.Dispose();
        throw new ObjectDisposedException(GetType().FullName);
    }

    private void Forget(IDisposable form)
    {
        lock (_lock)
            _forms.Remove(form);
    }
}
