using Farspan.Backends;
using Farspan.Linux.Fuse;
using Farspan.Linux.Mounts;
using Farspan.Linux.Userfaults;
using Farspan.Migration;
using Farspan.Mounts;
using Farspan.Mounts.Caching;
using Farspan.Transports;
using Farspan.Wire.Client;
using Farspan.Wire.Server;

namespace Farspan.Linux.Migration;

/// <summary>
/// A region that moves between hosts while a program uses it, as one of them sees it: it is here, or comes from another host, and may move on. The program uses it
/// by its path, as a file (<see cref="OpenFile"/>), as memory (<see cref="Map"/>) or as a backend. At any moment one host may write: calls wait until the region is
/// here, and fail once it has left. Thread-safe.
/// </summary>
/// <remarks>The phases, and what happens when something is lost, are in docs/migration.md.</remarks>
public sealed class Migrator : IAsyncDisposable
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(20);

    private readonly MigratorOptions _options;
    private readonly ICacheFiles _files;
    private readonly StoreBehind? _behind;
    private readonly MemoryFlushHook _hook;
    private readonly ProgramHost _host;
    private readonly CancellationTokenSource _closing = new();
    private readonly TaskCompletionSource _attached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _left = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private KnownSeeder? _source;
    private MovedRegion? _moved;
    private Seeder? _seeder;
    private RegionFace? _face;
    private DirectMount? _mount;
    private FarspanServer? _server;
    private Task _serving = Task.CompletedTask;
    private Task _watching = Task.CompletedTask;
    private bool _isDisposed;

    private Migrator(MigratorOptions options, ICacheFiles files)
    {
        _options = options;
        _files = files;
        _behind = options.Behind is null ? null : new StoreBehind(options.Behind, $"{Environment.MachineName} ({options.StateDirectory})");
        _hook = new MemoryFlushHook(new CallbackHook((_, token) => options.Suspend?.Invoke(token) ?? default, (_, token) => options.Resume?.Invoke(token) ?? default));
        _host = new ProgramHost(_hook, () => new HookSubject(Path ?? "", Record.Region, Record.Epoch)) { Attaching = _attached.Task.WaitAsync, Saving = _hook.SaveAsync };
    }

    /// <summary>The region as its program sees it. Stays the migrator's to dispose.</summary>
    public IBackend Backend => _face!.Backend;

    /// <summary>The absolute path of the mounted file; null where <see cref="MigratorOptions.Target"/> asks for none.</summary>
    public string? Path => _mount?.Path;

    /// <summary>Completes when the program may use the region here; cancelled where it never will.</summary>
    public Task Arrived => _moved?.Leecher.Accepted ?? Task.CompletedTask;

    /// <summary>Completes when all of the region is here, durable, and the host that it came from has let go: true; or when the move was given up: false.</summary>
    public Task<bool> Completed => _moved?.Leecher.Completed ?? Task.FromResult(true);

    /// <summary>Completes when another host has the region, and all of it; cancelled when the migrator is closed before.</summary>
    public Task Left => _left.Task;

    /// <summary>Where the region is in its life.</summary>
    public MigrationStatus Status
    {
        get
        {
            var record = Record;
            var leecher = _moved?.Leecher.Status;
            return new MigrationStatus(
                (MigrationRole)record.Role, record.Region, record.Epoch, Backend.Length, leecher?.MissingBytes ?? 0, leecher?.ReceivedBytes ?? 0, leecher?.HandOverTime,
                Volatile.Read(ref _seeder)?.Trouble ?? _moved?.Leecher.Trouble);
        }
    }

    private RegionRecord Record => Volatile.Read(ref _seeder)?.Record ?? _moved?.Leecher.Record ?? default;

    /// <summary>Takes up a region that is here, or begins one. It can be leeched after <see cref="ListenAsync"/>.</summary>
    /// <param name="store">The bytes. They belong to the migrator from then on, also when this throws.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellationToken">Gives the opening up.</param>
    /// <exception cref="ArgumentException">An option is outside what its description allows.</exception>
    /// <exception cref="BackendException">
    /// The state cannot be read, or another process has it; or the region is on its way here, or has moved to another host (<see cref="BackendError.Leased"/>).
    /// </exception>
    /// <exception cref="MountException">The system refused to mount the target; the message says what to do.</exception>
    public static Task<Migrator> SeedAsync(IBackend store, MigratorOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(store);
        return OpenAsync(store, options, migrator => migrator.SeedHereAsync(store, cancellationToken), cancellationToken);
    }

    /// <summary>Gets a region from the host that has it, or goes on with that; where all of it is here already it is only taken up.</summary>
    /// <param name="uri">The other host: <c>farspan://host:port/export</c>, as <c>farspan seed</c> and <see cref="ListenAsync"/> offer it.</param>
    /// <param name="local">Where it goes: as long as the region. It belongs to the migrator from then on, also when this throws.</param>
    /// <param name="options">How.</param>
    /// <param name="cancellationToken">Gives the opening up.</param>
    /// <exception cref="ArgumentException">An option is outside what its description allows.</exception>
    /// <exception cref="FormatException">The URI is none of Farspan's own wire.</exception>
    /// <exception cref="BackendException">
    /// The other host cannot be reached, and the region has not come yet; the state cannot be read, the store has another length, or the region is on its way from here (<see cref="BackendError.Leased"/>).
    /// </exception>
    /// <exception cref="MountException">The system refused to mount the target; the message says what to do.</exception>
    public static Task<Migrator> LeechAsync(string uri, IBackend local, MigratorOptions options, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(uri);
        ArgumentNullException.ThrowIfNull(local);
        return OpenAsync(local, options, migrator => migrator.LeechHereAsync(uri, local, cancellationToken), cancellationToken);
    }

    /// <summary>Opens the mounted file, for calls of this process.</summary>
    /// <exception cref="InvalidOperationException">There is no mounted file.</exception>
    public RemoteFile OpenFile() => (_mount ?? throw new InvalidOperationException("The migrator was opened without a target to mount the region at.")).OpenFile();

    /// <summary>Makes the region memory of this process. What was written to it is saved before a hand-over, after the program was suspended.</summary>
    /// <param name="options">How; null for the defaults.</param>
    /// <returns>The memory; dispose it before the migrator, and where the region has left: what is in it then is old.</returns>
    /// <exception cref="BackendException">This kernel or user has no userfaults.</exception>
    public RemoteMemory Map(RemoteMemoryOptions? options = null)
    {
        var memory = RemoteMemory.Map(Backend, options);
        _hook.Add(memory);
        return memory;
    }

    /// <summary>Lets other hosts leech the region. Once all of it is here, and once.</summary>
    /// <param name="listener">Where they connect. Owned by the migrator from then on.</param>
    /// <param name="server">How they are served; null for the defaults. Who connects gets the region: use TLS where others reach it.</param>
    /// <exception cref="InvalidOperationException">Not all of the region is here, or it is listened already.</exception>
    public async Task ListenAsync(StreamListener listener, FarspanServerOptions? server = null)
    {
        ArgumentNullException.ThrowIfNull(listener);
        if (_server is not null)
            throw new InvalidOperationException("The region is listened for already.");
        if (_seeder is null)
        {
            Volatile.Write(ref _seeder, await _moved!.SeedAsync(_host, SeederOptions(), _closing.Token));
            _watching = WatchAsync(_seeder);
        }

        _server = new FarspanServer([FarspanExport.Of(_seeder)], server);
        _serving = ServeAsync(_server, listener);
    }

    /// <summary>Asks for the hand-over as soon as it can be, whatever the policy says. Nothing where the region is here.</summary>
    public void RequestHandOver() => _moved?.Leecher.RequestFinalize();

    /// <summary>Gives the move here up, if the region has not come yet: its program goes on where it is.</summary>
    /// <returns>Whether it was given up; completes when the other host knows.</returns>
    public async Task<bool> GiveUpAsync(CancellationToken cancellationToken = default)
        => _moved is not null && await _moved.Leecher.GiveUpAsync(cancellationToken);

    /// <summary>
    /// Takes back by force what was handed over, for an operator who knows that the new owner is lost for good. It becomes a region of its own, as old as the
    /// hand-over; what the new owner wrote since is not in it.
    /// </summary>
    /// <returns>Whether it was taken back: not where nothing was handed over, or the new owner has everything.</returns>
    /// <exception cref="InvalidOperationException">A store stands behind the region. It has what the new owner flushed: seed that anew.</exception>
    public async Task<bool> TakeBackByForceAsync(CancellationToken cancellationToken = default)
        => _seeder is not null && await _seeder.TakeBackByForceAsync(cancellationToken);

    /// <summary>Unmounts, flushes and closes; the state says where a next one takes up. A leecher that is served is cut off, and comes back.</summary>
    /// <exception cref="MountException">What was written could not be flushed.</exception>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, true))
            return;
        await _closing.CancelAsync();
        _attached.TrySetCanceled();
        if (!Record.MayWrite)
            _face?.Refuse("The region is not here.");
        try
        {
            if (_mount is not null)
                await EndMountAsync(_mount.DisposeAsync().AsTask());
        }
        finally
        {
            if (_server is not null)
                await _server.DisposeAsync();
            await _serving;
            await _watching;
            if (_moved is not null)
                await _moved.DisposeAsync();
            else if (_seeder is not null)
                await _seeder.DisposeAsync();
            if (_source is not null)
                await _source.DisposeAsync();
            if (_behind is not null)
                await _behind.DisposeAsync();
            await _files.DisposeAsync();
            _left.TrySetCanceled();
            _closing.Dispose();
        }
    }

    // A hand-over that was asked for before may still come about, and holds back meanwhile what the end of the mount waits for.
    private async Task EndMountAsync(Task ending)
    {
        while (await Task.WhenAny(ending, Task.Delay(s_look)) != ending)
        {
            if (!Record.MayWrite)
                _face?.Refuse("The region has moved to another host.");
        }

        await ending;
    }

    private static async Task<Migrator> OpenAsync(IBackend store, MigratorOptions options, Func<Migrator, Task> open, CancellationToken cancellationToken)
    {
        Migrator? migrator = null;
        try
        {
            ArgumentNullException.ThrowIfNull(options);
            options.Validate();
            var linux = new ManagedMountOptions().WithLinuxFiles();
            migrator = new Migrator(options, CacheDirectory.Open(options.StateDirectory, linux.OpenCacheFile, linux.SyncDirectory));
            await open(migrator);
            await migrator.AttachAsync(cancellationToken);
            return migrator;
        }
        catch
        {
            if (migrator is not null)
                await migrator.DisposeAsync();
            else if (options?.Behind is { } behind)
                await behind.DisposeAsync();
            if (migrator is not { _seeder: not null } and not { _moved: not null })
                await store.DisposeAsync();
            throw;
        }
    }

    private async Task SeedHereAsync(IBackend store, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var record = await RegionRecordFile.ReadAsync(_files);
        if (record.Role == RegionRole.Released)
            throw new BackendException(BackendError.Leased, $"The region {record.Region} of {_options.StateDirectory} has moved to another host, which has all of it; leech it back from there.");
        _seeder = await Seeder.OpenAsync(_files, store, _host, SeederOptions());
        _face = new RegionFace(_seeder.Backend);
        _watching = WatchAsync(_seeder);
    }

    private async Task LeechHereAsync(string uri, IBackend local, CancellationToken cancellationToken)
    {
        _source = await KnownSeeder.OpenAsync(
            _files, BackendUri.Parse(uri), _options.Mount.Backend, new FarspanSeederOptions { Compresses = _options.Compress }, isBacked: _behind is not null, cancellationToken);
        _moved = await MovedRegion.OpenAsync(
            _files, local, _source, _host, new LeecherOptions { Policy = _options.Policy, Sources = _options.Sources, Behind = _behind, StepTimeout = _options.StepTimeout },
            cancellationToken);
        _face = new RegionFace(_moved.Backend);
    }

    // A file that is there before the region has come holds its readers back.
    private async Task AttachAsync(CancellationToken cancellationToken)
    {
        FuseMount? mount = null;
        bool isHere = Record.MayWrite;
        if (!isHere)
            await _face!.HoldAsync(cancellationToken);
        if (_options.Target is { } target)
        {
            mount = await FuseMount.MountAsync(Backend, target, _options.Mount.Fuse, cancellationToken);
            _mount = new DirectMount(new LocalMountServer(mount, owned: null), Backend.Length, isReadOnly: false, _options.Mount);
        }

        _host.Attach(_face!, mount);
        _attached.TrySetResult();
        if (isHere)
            await _host.ResumeAsync(cancellationToken);
    }

    private SeederOptions SeederOptions() => new() { ChunkSize = _options.ChunkSize, StepTimeout = _options.StepTimeout, Behind = _behind };

    private async Task ServeAsync(FarspanServer server, StreamListener listener)
    {
        using (listener)
        {
            try
            {
                await server.ServeAsync(listener, _closing.Token);
            }
            catch (OperationCanceledException)
            {
                // It is being closed.
            }
        }
    }

    // Nobody reads here what has left, from the kernel's memory of the file either.
    private async Task WatchAsync(Seeder seeder)
    {
        bool isGone = false;
        while (!_closing.IsCancellationRequested)
        {
            var record = seeder.Record;
            if (record.MayWrite)
                isGone = false;
            else if (!isGone)
                isGone = await TryDepartAsync();
            if (record.Role == RegionRole.Released)
            {
                _left.TrySetResult();
                return;
            }

            await Task.Delay(s_look, CancellationToken.None);
        }
    }

    private async Task<bool> TryDepartAsync()
    {
        try
        {
            await _host.DepartAsync("The region has moved to another host.", _closing.Token);
            return true;
        }
        catch (Exception failure) when (failure is BackendException or OperationCanceledException)
        {
            // The kernel is asked again.
            return false;
        }
    }
}
