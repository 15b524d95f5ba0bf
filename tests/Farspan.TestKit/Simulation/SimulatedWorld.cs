using Farspan.Backends;
using Farspan.Chunks;
using Farspan.Mounts;
using Farspan.Mounts.Caching;
using Farspan.Mounts.Caching.Journal;
using Farspan.TestKit.Time;

namespace Farspan.TestKit.Simulation;

/// <summary>
/// A managed mount with everything around it, a remote far away, a line that fails, a cache, clients, kills and restarts, on one thread in
/// virtual time, from one seed. Throws when a promise is broken.
/// </summary>
#pragma warning disable CA1001 // The simulated remote holds nothing to dispose of.
internal sealed class SimulatedWorld
#pragma warning restore CA1001
{
    private static readonly TimeSpan Limit = TimeSpan.FromDays(2);

    private readonly Random _random;
    private readonly VirtualTimeProvider _clock;
    private readonly WorldPlan _plan;
    private readonly SimulatedRemote _remote;
    private readonly SimulatedTruth _truth;
    private readonly SimulatedCacheDisk _notes;
    private readonly SimulatedDisk _disk;
    private readonly Random? _harshness;
    private bool _isHealed;
    private bool _wasPowerLost;

    private SimulatedWorld(int seed, bool isHarsh, VirtualTimeProvider clock)
    {
        _random = new Random(seed);
        _clock = clock;
        _plan = WorldPlan.Draw(_random, seed);
        byte[] contents = new byte[_plan.Length];
        _random.NextBytes(contents);
        _truth = new SimulatedTruth(contents);
        _harshness = isHarsh ? new Random(~seed) : null;
        _remote = new SimulatedRemote((byte[])contents.Clone(), clock, _random) { HasTrimAndZero = _plan.HasTrimAndZero, Harshness = _harshness };
        _notes = new SimulatedCacheDisk(new ChunkLayout(_plan.Length, _plan.Options.ChunkSize));
        _disk = new SimulatedDisk(seed, clock);
    }

    /// <summary>Runs the world of a seed to its end.</summary>
    /// <param name="seed">The seed.</param>
    /// <param name="isHarsh">Whether calls are slow, replies outlive restarts, and the disk of the cache runs full and loses syncs, too.</param>
    /// <returns>A number that stands for all choices made.</returns>
    public static ulong Run(int seed, bool isHarsh = false)
    {
        try
        {
            return VirtualTime.RunSeed(seed, Limit, clock => new SimulatedWorld(seed, isHarsh, clock).RunAsync());
        }
        catch (Exception error)
        {
            throw new InvalidOperationException($"Seed {seed}{(isHarsh ? ", harsh" : "")}: {error.Message}", error);
        }
    }

    private async Task RunAsync()
    {
        for (int kill = 0; kill < _plan.Kills; kill++)
        {
            _isHealed = false;
            await LiveAndDieAsync(isFirst: kill == 0);
        }

        bool isFirst = _plan.Kills == 0;
        while (!await LiveAndCloseAsync(isFirst))
            isFirst = false;
        if (_remote.Overlap is not null)
            throw new InvalidOperationException(_remote.Overlap);
        _truth.CheckAtEnd(_remote.Durable);
    }

    /// <returns>False where the cache has lost a sync, which only another opening mends.</returns>
    private async Task<bool> LiveAndCloseAsync(bool isFirst)
    {
        _isHealed = false;
        var process = new SimulatedProcess();
        var mount = await OpenAsync(process);
        if (!isFirst)
            await CheckAfterOpeningAsync(mount);
        var troubles = TroubleAsync(process);
        await Task.WhenAll(StartClients(process, mount));
        _isHealed = true;
        await troubles;
        Heal();
        var report = await mount.CloseAsync();
        if (report.IsComplete && report.Error is null)
            return true;
        if (!_disk.HasLostSync)
            throw new InvalidOperationException($"The close left {report}.", report.Error);
        _wasPowerLost = true;
        _disk.Restart(losePower: false);
        await SettleAsync();
        return false;
    }

    private async Task LiveAndDieAsync(bool isFirst)
    {
        var process = new SimulatedProcess();
        var mount = await OpenAsync(process);
        if (!isFirst)
            await CheckAfterOpeningAsync(mount);
        var troubles = TroubleAsync(process);
        var failures = new List<Exception>();
        foreach (var client in StartClients(process, mount))
            _ = WatchAsync(client, failures);
        await Task.Delay(TimeSpan.FromMilliseconds(_random.Next(1, 1 << _random.Next(1, 15))), _clock);
        process.Kill();
        _wasPowerLost = _random.Next(2) == 0;
        bool isDiskInDoubt = _wasPowerLost || _disk.HasLostSync;
        _disk.Restart(_wasPowerLost);
        _wasPowerLost = isDiskInDoubt;
        _isHealed = true;
        await troubles;
        if (failures.Count > 0)
            throw failures[0];
        Heal();

        await SettleAsync();
        _notes.NeedsProof = _wasPowerLost;
    }

    /// <summary>What the process before had sent arrives, or not, before the next one looks.</summary>
    private async Task SettleAsync()
    {
        while (_remote.Running > 0)
            await Task.Delay(TimeSpan.FromSeconds(1), _clock);
        await Task.Delay(TimeSpan.FromMilliseconds(10), _clock);
    }

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

    private async Task<ManagedBackend> OpenAsync(SimulatedProcess process)
    {
        var options = _plan.Options with { Clock = process.Bind(_clock) };
        IChunkCache cache;
        if (_plan.IsCacheOnDisk)
        {
            cache = process.Bind(await DirectoryChunkCache.OpenAsync(new DirectoryCacheOptions
            {
                Files = _disk.Open(),
                Remote = "simulated",
                Length = _plan.Length,
                ChunkSize = options.ChunkSize,
                BootId = _disk.BootId,
                Clock = options.Clock,
                CheckpointInterval = TimeSpan.FromMilliseconds(_random.Next(20, 3000)),
                CheckpointBytes = _random.Next(4096, 300_000),
                CompactionBytes = _random.Next(200, 8000),
            }));
        }
        else if (_plan.IsCacheDurable)
        {
            var durable = new SimulatedChunkCache(_notes, _clock, _random);
            durable.Open();
            cache = process.Bind(durable);
        }
        else
        {
            cache = new MemoryChunkCache(_notes.Layout, options.CacheSizeLimit);
        }

        return await ManagedBackend.OpenAsync(process.Bind(_remote), cache, options);
    }

    private async Task CheckAfterOpeningAsync(ManagedBackend mount)
    {
        byte[] all = new byte[_plan.Length];
        while (true)
        {
            try
            {
                await mount.ReadAsync(0, all);
                break;
            }
            catch (BackendException error) when (error.IsTransient && _plan.Options.OnOutage != OutageBehavior.Wait)
            {
                // The first flush found that the store had restarted, and this mount was told to wait for nothing.
                await Task.Delay(TimeSpan.FromSeconds(1), _clock);
            }
        }

        // The simulated cache loses nothing with the power.
        _truth.CheckAfterCrash(all, isAllKept: _plan.IsCacheDurable && !(_plan.IsCacheOnDisk && _wasPowerLost));
    }

    private Task[] StartClients(SimulatedProcess process, ManagedBackend mount)
    {
        int count = Math.Min(_plan.Clients, _plan.Length / 16);
        return [.. Enumerable.Range(0, Math.Max(1, count)).Select(i =>
        {
            int from = (int)((long)_plan.Length * i / Math.Max(1, count));
            int end = (int)((long)_plan.Length * (i + 1) / Math.Max(1, count));
            return new SimulatedClient(process, mount, _truth, _random, process.Bind(_clock), from, end).RunAsync(_plan.StepsEach);
        })];
    }

    private async Task TroubleAsync(SimulatedProcess process)
    {
        if (_plan.Faults == 0)
            return;
        while (!_isHealed && !process.IsDead)
        {
            _remote.LostRequests = _plan.Faults * _random.NextDouble();
            _remote.LostReplies = _plan.Faults * _random.NextDouble();
            _remote.BadReads = _random.Next(4) == 0 ? _plan.Faults : 0;
            _remote.Stalls = _random.Next(3) == 0 ? _plan.Faults / 4 : 0;
            _remote.IsCut = _random.Next(4) == 0;
            if (_random.Next(3) == 0)
                _remote.Restart();
            if (_harshness is not null)
                BeHarsh(_harshness);
            await Task.Delay(TimeSpan.FromMilliseconds(_random.Next(1, 1 << _random.Next(2, 16))), _clock);
        }
    }

    private void BeHarsh(Random random)
    {
        _remote.SlowCalls = random.Next(2) == 0 ? 0 : random.NextDouble() / 3;
        _disk.SectorLimit = random.Next(3) == 0 ? _disk.UsedSectors + random.Next(1, 60) : long.MaxValue;
        if (random.Next(40) == 0)
            _disk.FailSyncOf = random.Next(2) == 0 ? DirectoryChunkCache.DataName : JournalFile.Name;
    }

    private void Heal()
    {
        _remote.SlowCalls = 0;
        _disk.SectorLimit = long.MaxValue;
        _disk.FailSyncOf = null;
        _remote.IsCut = false;
        _remote.LostRequests = 0;
        _remote.LostReplies = 0;
        _remote.BadReads = 0;
        _remote.Stalls = 0;
    }
}
