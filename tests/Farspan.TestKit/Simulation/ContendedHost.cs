using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Mounts;
using Farspan.Mounts.Caching;
using Farspan.TestKit.Time;

namespace Farspan.TestKit.Simulation;

/// <summary>
/// A host that mounts the remote of a <see cref="ContendedWorld"/> again and again, with one cache directory or none: it is refused, uses it, is
/// cut off, fenced, killed, loses its power, and comes back. One thread.
/// </summary>
internal sealed class ContendedHost(string name, int seed, Random random, VirtualTimeProvider clock, SimulatedLeaseServer server, SimulatedTruth truth)
{
    private const int Chunk = 4096;

    private readonly bool _hasDisk = random.Next(4) != 0;
    private readonly SimulatedDisk _disk = new(seed, clock);
    private bool _wasPowerLost;
    private bool _isStale;
    private bool _mayBeStale;
    private bool _hasUnpushed;
    private ConflictPolicy _policy;

    public string Name => name;

    public SimulatedLine Line { get; } = new(clock, random) { LongestWait = server.LeaseTimeout };

    public ContendedSession? Session { get; private set; }

    /// <summary>Another could write since the host had the lease last.</summary>
    public void OthersMayWrite()
    {
        _isStale = true;
        if (Session is { } session)
            session.IsDetached = true;
    }

    /// <summary>The host was given the lease.</summary>
    public void HasLease()
    {
        _mayBeStale |= _isStale;
        _isStale = false;
        if (Session is { } session)
            session.IsDetached = false;
    }

    /// <summary>Mounts, uses, and ends in some way.</summary>
    public async Task LiveAsync()
    {
        if (!await TryOpenAsync())
            return;
        var session = Session!;
        var troubles = TroubleAsync(session);
        int clients = random.Next(1, 4);
        var failures = new List<Exception>();
        var uses = Enumerable.Range(0, clients)
            .Select(i => WatchAsync(session.UseAsync(server.Length * i / clients, server.Length * (i + 1) / clients), failures)).ToArray();
        await Task.Delay(server.LeaseTimeout * (3 * random.NextDouble()), clock);
        session.IsEnding = true;
        if (random.Next(2) == 0)
        {
            session.Process.Kill();
            _wasPowerLost = random.Next(2) == 0;
            _disk.Restart(_wasPowerLost);
            _hasUnpushed = false;
        }
        else
        {
            await Task.WhenAll(uses);
            await CloseAsync();
        }

        await troubles;
        if (failures.Count > 0)
            throw failures[0];
    }

    /// <summary>Mounts on a line that works, however long that takes, and pushes everything or gives it up.</summary>
    public async Task FinishAsync()
    {
        Heal();
        while (!await TryOpenAsync())
            await Task.Delay(TimeSpan.FromSeconds(1), clock);
        var report = await CloseAsync();
        if (!report.IsComplete || report.Error is not null)
            throw new InvalidOperationException($"The close left {report}.", report.Error);
    }

    private async Task<bool> TryOpenAsync()
    {
        var process = new SimulatedProcess();
        Session = new ContendedSession(process, truth, random, process.Bind(clock));
        IChunkCache? cache = null;
        try
        {
            var options = Options(process);
            cache = await OpenCacheAsync(process, options);
            var tenant = new SimulatedTenant(process, Line, server, process.Bind(clock), Guid.NewGuid());
            Session.Mount = await ManagedBackend.OpenAsync(tenant, cache, options);
            await CheckAsync(Session, options.OnConflict);
            return true;
        }
        catch (BackendException error) when (Session.Mount is null)
        {
            if (error.Error == BackendError.Leased && _hasDisk && error.Message.Contains(name, StringComparison.Ordinal))
                throw new InvalidOperationException($"{name} is in its own way: {error.Message}", error);
            if (error.Error == BackendError.Fenced && !_mayBeStale)
                throw new InvalidOperationException($"{name} was refused, and nobody else could write.", error);
            if (error.Error == BackendError.Fenced && random.Next(2) == 0)
                _policy = random.Next(2) == 0 ? ConflictPolicy.Push : ConflictPolicy.Discard;
            if (cache is not null)
                await cache.DisposeAsync();
            process.Kill();
            Session = null;
            return false;
        }
    }

    private async Task<IChunkCache> OpenCacheAsync(SimulatedProcess process, ManagedMountOptions options)
    {
        if (!_hasDisk)
            return new MemoryChunkCache(new ChunkLayout(server.Length, Chunk));
        return process.Bind(await DirectoryChunkCache.OpenAsync(new DirectoryCacheOptions
        {
            Files = _disk.Open(),
            Remote = "simulated",
            Length = server.Length,
            ChunkSize = Chunk,
            BootId = _disk.BootId,
            Clock = options.Clock,
            CheckpointInterval = TimeSpan.FromMilliseconds(random.Next(20, 3000)),
            CompactionBytes = random.Next(200, 8000),
        }));
    }

    private ManagedMountOptions Options(SimulatedProcess process) => new()
    {
        Clock = process.Bind(clock),
        ChunkSize = Chunk,
        LeaseHolder = name,
        CacheDirectory = _hasDisk ? "simulated" : null,
        RemoteName = "simulated",
        BackgroundPull = random.Next(2) == 0 ? BackgroundPull.Nothing : BackgroundPull.Everything,
        PushInterval = TimeSpan.FromMilliseconds(random.Next(10, 5000)),
        DirtySoftLimit = 16 << 10,
        MemoryBudget = 1 << 20,
        OutageTimeout = TimeSpan.FromSeconds(random.Next(1, 20)),
        RequestTimeout = TimeSpan.FromSeconds(random.Next(1, 20)),
        CloseTimeout = TimeSpan.FromSeconds(random.Next(10, 60)),
        OnConflict = _policy,
        Seed = seed,
    };

    private async Task CheckAsync(ContendedSession session, ConflictPolicy policy)
    {
        bool wasStale = _mayBeStale;
        if (wasStale && _hasUnpushed && policy == ConflictPolicy.Refuse)
            throw new InvalidOperationException($"{name} had bytes that were not pushed, others may have written, and nobody was asked.");
        (_mayBeStale, _policy) = (false, ConflictPolicy.Refuse);
        var dirty = session.Mount.ListDirty(0, server.Length, int.MaxValue).Where(static run => run.IsSet).ToList();
        if (wasStale && dirty.Count > 0 && policy != ConflictPolicy.Push)
            throw new InvalidOperationException($"{name} has kept dirty bytes that others may have written over, and nobody chose that.");
        byte[] all = new byte[server.Length];
        while (true)
        {
            try
            {
                await session.Mount.ReadAsync(0, all);
                break;
            }
            catch (BackendException)
            {
                await Task.Delay(TimeSpan.FromSeconds(1), clock);
                Heal();
            }
        }

        if (session.IsDetached)
            return;
        foreach (var run in wasStale ? dirty : [])
            truth.Begin((int)run.Offset, (int)run.Length, all[(int)run.Offset..(int)(run.Offset + run.Length)]);
        truth.CheckAfterCrash(all, isAllKept: !wasStale && _hasDisk && !_wasPowerLost);
        _wasPowerLost = false;
    }

    private async Task<MountCloseReport> CloseAsync()
    {
        var session = Session!;
        bool isLost = session.IsDetached && session.WritesInVain > 0 && session.Mount.Status.DirtyBytes + session.Mount.Status.DirtyZeroBytes > 0;
        var report = await session.Mount.CloseAsync();
        if (isLost && report.IsComplete)
            throw new InvalidOperationException($"{name} was fenced with dirty bytes, and closed as if all were well.");
        if (report.IsComplete && !session.IsDetached)
            truth.EndFlush(truth.BeginFlush());
        session.Process.Kill();
        _hasUnpushed = _hasDisk && !report.IsComplete;
        return report;
    }

    private async Task TroubleAsync(ContendedSession session)
    {
        while (!session.IsEnding && !session.Process.IsDead)
        {
            Line.Losses = random.Next(2) == 0 ? 0 : random.NextDouble() / 5;
            Line.Late = random.Next(2) == 0 ? 0 : random.NextDouble() / 5;
            Line.IsCut = random.Next(3) == 0;
            await Task.Delay(server.LeaseTimeout * (2 * random.NextDouble() * random.NextDouble()), clock);
        }

        Heal();
    }

    private void Heal() => (Line.Losses, Line.Late, Line.IsCut) = (0, 0, false);

    private static async Task WatchAsync(Task client, List<Exception> failures)
    {
        try
        {
            await client;
        }
        catch (Exception error)
        {
            failures.Add(error);
        }
    }
}
