using Farspan.Backends;
using Farspan.Mounts;

namespace Farspan.Linux.Userfaults;

/// <content>Opening and closing.</content>
public sealed partial class RemoteMemory
{
    private const long MemoryCacheLimit = 64 << 20;

    private static readonly TimeSpan s_closeTimeout = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Opens what a URI names and makes it memory, over a managed mount: it retries, reads ahead, pushes in the background, and with
    /// <see cref="RemoteMemoryOptions.Cache"/> keeps what it has over a crash.
    /// </summary>
    /// <exception cref="ArgumentException">An option is out of its bounds.</exception>
    /// <exception cref="FormatException">The URI is none, or its scheme is not known.</exception>
    /// <exception cref="BackendException">The remote or the cache cannot be opened; or this kernel or user has no userfaults.</exception>
    public static async Task<RemoteMemory> MapAsync(string uri, RemoteMemoryOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(uri);
        options ??= new RemoteMemoryOptions();
        options.Validate();
        var registry = options.Registry ?? new BackendRegistry().AddCoreBackends().AddLinuxBackends();
        var remote = await registry.OpenAsync(uri, new BackendOpenOptions { ReadOnly = options.ReadOnly }, cancellationToken);
        ManagedBackend? managed = null;
        try
        {
            var saving = new HookedSave();
            managed = await ManagedBackend.OpenAsync(remote, saving.Hook(ManagedOptions(uri, options)), cancellationToken);
            var region = Map(managed, managed, options);
            saving.Region = region;
            return region;
        }
        catch
        {
            if (managed is not null)
                await managed.CloseAsync();
            else
                await remote.DisposeAsync();
            throw;
        }
    }

    /// <summary>Whether it is being closed, or has been.</summary>
    internal bool IsClosing
    {
        get
        {
            lock (_gate)
                return _closing is not null;
        }
    }

    /// <summary>Makes a backend memory, as it is: a managed mount, a stage, anything. What was written is saved to it.</summary>
    /// <param name="backend">Not owned: dispose it after the region.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <exception cref="ArgumentException">An option is out of its bounds, or is for a region opened by URI.</exception>
    /// <exception cref="BackendException">This kernel or user has no userfaults.</exception>
    public static RemoteMemory Map(IBackend backend, RemoteMemoryOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(backend);
        options ??= new RemoteMemoryOptions();
        options.Validate();
        if (options.Cache is not null || options.Managed is not null)
            throw new ArgumentException("A cache is kept by a managed mount: open the region by URI, or give it a ManagedBackend that has one.", nameof(options));
        return Map(backend, managed: null, options);
    }

    /// <summary>
    /// Saves what was written, makes it durable at the remote, ends every thread, gives the memory back, and says what is left. It waits for views that
    /// are still held to be disposed; nothing new is handed out meanwhile.
    /// </summary>
    public Task<RemoteMemoryReport> CloseAsync()
    {
        lock (_gate)
            return _closing ??= CloseOnceAsync();
    }

    /// <summary>Closes, where that has not been done.</summary>
    /// <exception cref="MountException">Something that was written is not at the remote; the message says how much.</exception>
    public async ValueTask DisposeAsync()
    {
        bool isFirst = _closing is null;
        var report = await CloseAsync();
        if (isFirst && !report.IsComplete)
        {
            string kept = report.KeptIn is null ? "" : $" (of that, {report.UnpushedBytes} are kept in {report.KeptIn})";
            throw new MountException(
                $"{report.UnsavedBytes + report.UnpushedBytes} bytes of what was written did not reach the remote{kept}: {report.Error?.Message}", report.Error);
        }
    }

    private static RemoteMemory Map(IBackend backend, ManagedBackend? managed, RemoteMemoryOptions options)
    {
        bool isReadOnly = options.ReadOnly || backend.IsReadOnly;
        long page = Environment.SystemPageSize;
        var memory = AnonymousMemory.Create(Math.Max(page, (backend.Length + page - 1) & -page), isReadOnly);
        try
        {
            var service = RegionService.Start(memory, backend, new RegionOptions
            {
                ChunkSize = options.ChunkSize,
                ResidentLimit = options.ResidentLimit,
                ReadAhead = options.ReadAhead,
                FaultThreads = options.FaultThreads,
                MovesHugePages = true,
                SaveInterval = isReadOnly ? null : options.SaveInterval,
                Logger = options.Logger,
            });
            return new RemoteMemory(service, memory, backend, managed, isReadOnly);
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    // Without a directory nothing is kept twice: what is in memory is in the region.
    private static ManagedMountOptions ManagedOptions(string uri, RemoteMemoryOptions options)
    {
        var managed = options.Managed ?? new ManagedMountOptions { BackgroundPull = options.Cache is null ? BackgroundPull.ReadAhead : BackgroundPull.Everything };
        managed = managed with { ChunkSize = options.ChunkSize };
        string? cache = options.Cache ?? managed.CacheDirectory;
        if (cache is null)
        {
            return managed with
            {
                CacheSizeLimit = managed.CacheSizeLimit ?? Math.Max(MemoryCacheLimit, 16L * options.ChunkSize),
                OpenCacheMemory = managed.OpenCacheMemory ?? OpenCacheMemory,
            };
        }

        return (managed with { CacheDirectory = cache, RemoteName = managed.RemoteName ?? BackendUri.Parse(uri).Identity }).WithLinuxFiles();
    }

    /// <summary>A far fault takes a chunk of it, and would wait for each of its pages.</summary>
    private static IBackend OpenCacheMemory(long length)
    {
        try
        {
            return HugeMemoryBackend.Create(length);
        }
        catch (BackendException)
        {
            // No place for all of it at once.
            return new MemoryBackend(length);
        }
    }

    private async Task<RemoteMemoryReport> CloseOnceAsync()
    {
        await Task.Yield();
        Exception? error = null;
        Leave();
        await _released.Task;
        if (!IsReadOnly)
        {
            try
            {
                await _service.SaveAsync(CancellationToken.None).WaitAsync(s_closeTimeout);

                // A backend that takes no flush any more, as one that has moved to another host, has nothing to lose of what was flushed before.
                if (_managed is null && _service.Counters.SavedBytes != Volatile.Read(ref _flushedBytes))
                    await _backend.FlushAsync().AsTask().WaitAsync(s_closeTimeout);
            }
            catch (Exception failure)
            {
                error = failure;
            }
        }

        long unsaved = IsReadOnly ? 0 : _service.CountWritten();
        if (!await _service.StopAsync())
            error ??= new MountException("A call of the backend has not ended, and was left behind.");
        error ??= _service.Failure;
        if (_managed is null)
            return new RemoteMemoryReport(unsaved, 0, null, error);
        var report = await _managed.CloseAsync();
        return new RemoteMemoryReport(unsaved, report.UnpushedBytes, report.KeptIn, error ?? report.Error);
    }

    private T Using<T>(Func<T> call, T closed)
    {
        if (!TryEnter())
            return closed;
        try
        {
            return call();
        }
        finally
        {
            Leave();
        }
    }

    private void Enter() => ObjectDisposedException.ThrowIf(!TryEnter(), this);

    private bool TryEnter()
    {
        int users;
        do
        {
            users = Volatile.Read(ref _users);
            if (users == 0 || _closing is not null)
                return false;
        }
        while (Interlocked.CompareExchange(ref _users, users + 1, users) != users);
        return true;
    }

    private void Leave()
    {
        if (Interlocked.Decrement(ref _users) == 0)
            _released.TrySetResult();
    }

    /// <summary>Has the managed mount's rounds of pushes save the region first.</summary>
    private sealed class HookedSave
    {
        public RemoteMemory? Region { get; set; }

        public ManagedMountOptions Hook(ManagedMountOptions options)
        {
            var before = options.Hooks.BeforeSync;
            return options with
            {
                Hooks = options.Hooks with
                {
                    BeforeSync = async token =>
                    {
                        if (before is not null)
                            await before(token);
                        if (Region is { _closing: null } region)
                            await region.SaveAsync(token);
                    },
                },
            };
        }
    }
}
