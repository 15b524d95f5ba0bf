using Farspan.Backends;
using Farspan.Migration;
using Farspan.TestKit.Simulation;

namespace Farspan.Tests.Migration;

/// <summary>One life of the host that has the region: a seeder, and a program that writes.</summary>
internal sealed class SimulatedSource(SimulatedMigration world) : ISeederHost
{
    private readonly SimulatedProcess _process = new();
    private readonly bool _maps = world.Random.Next(2) == 0;
    private readonly Dictionary<int, byte[]> _kept = [];
    private bool _isWanted;
    private bool _isWritingBack;
    private int _busy;

    public Seeder? Seeder { get; private set; }

    /// <summary>Whether the program may write at any moment.</summary>
    public bool IsRunning => _isWanted && !_process.IsDead;

    public async Task StartAsync(bool isDurable)
    {
        var files = world.SourceDisk.Open();
        var store = await files.OpenDataAsync("data", SimulatedMigration.Length);
        var options = new SeederOptions
        {
            ChunkSize = SimulatedMigration.ChunkSize, Clock = _process.Bind(world.Clock), NewRegion = () => world.NextName(), NewSessions = () => world.NextNumber(),
        };
        Seeder = await Seeder.OpenAsync(files, store, this, options);
        world.CheckSource(await ReadAllAsync(store), Seeder.Record, isDurable);
        _isWanted = Seeder.Record.MayWrite;
        _ = WriteAsync();
    }

    public void Kill()
    {
        _process.Kill();
        Seeder = null;
    }

    public async ValueTask WriteBackAsync(CancellationToken cancellationToken)
    {
        int trouble = world.Random.Next(world.IsCalm ? 1 : 12);
        if (trouble == 1)
            throw new InvalidOperationException("The kernel does not write back.");
        if (trouble == 2)
            await Task.Delay(Timeout.InfiniteTimeSpan, _process.Bind(world.Clock), cancellationToken);
        await WriteKeptAsync();
    }

    public async ValueTask SuspendAsync(CancellationToken cancellationToken)
    {
        await Task.Delay(TimeSpan.FromMilliseconds(world.Random.Next(50)), _process.Bind(world.Clock), CancellationToken.None);
        int trouble = world.Random.Next(world.IsCalm ? 1 : 12);
        if (trouble == 1)
            throw new InvalidOperationException("The program cannot be suspended.");
        if (trouble == 2)
            await Task.Delay(Timeout.InfiniteTimeSpan, _process.Bind(world.Clock), cancellationToken);
        _isWanted = false;
        while (_busy != 0)
            await Task.Delay(TimeSpan.FromMilliseconds(1), _process.Bind(world.Clock), CancellationToken.None);
        await WriteKeptAsync();
    }

    public async ValueTask ResumeAsync(CancellationToken cancellationToken)
    {
        await Task.Delay(TimeSpan.FromMilliseconds(world.Random.Next(50)), _process.Bind(world.Clock), CancellationToken.None);
        if (!world.IsCalm && world.Random.Next(8) == 0)
            throw new InvalidOperationException("The program does not go on yet.");
        _isWanted = true;
    }

    private static async Task<byte[]> ReadAllAsync(IBackend store)
    {
        byte[] bytes = new byte[SimulatedMigration.Length];
        await store.ReadAsync(0, bytes);
        return bytes;
    }

    // What the program wrote into mapped memory, as a kernel does: a chunk at a time, and what is written meanwhile stays to be written.
    private async Task WriteKeptAsync()
    {
        while (_isWritingBack)
            await Task.Delay(TimeSpan.FromMilliseconds(1), _process.Bind(world.Clock), CancellationToken.None);
        _isWritingBack = true;
        try
        {
            foreach (var (chunk, bytes) in _kept.ToArray())
            {
                await Seeder!.Backend.WriteAsync((long)chunk * SimulatedMigration.ChunkSize, bytes);
                if (_kept[chunk] == bytes)
                    _kept.Remove(chunk);
            }
        }
        finally
        {
            _isWritingBack = false;
        }
    }

    private async Task WriteAsync()
    {
        var clock = _process.Bind(world.Clock);
        var backend = Seeder!.Backend;
        while (!_process.IsDead)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(world.Random.Next(world.WriteGap)), clock);
            if (!_isWanted)
                continue;
            _busy++;
            try
            {
                if (world.Random.Next(6) == 0)
                {
                    var flush = world.BeginFlush();
                    await WriteKeptAsync();
                    await backend.FlushAsync();
                    if (!_process.IsDead)
                        world.EndFlush(flush);
                    continue;
                }

                int chunk = world.Random.Next(SimulatedMigration.ChunkCount);
                byte[] bytes = world.BeginWrite(chunk, isSource: true);
                if (_maps)
                    _kept[chunk] = bytes;
                else
                    await backend.WriteAsync((long)chunk * SimulatedMigration.ChunkSize, bytes);
                if (!_process.IsDead)
                    world.EndWrite(chunk, bytes);
            }
            catch (SimulatedCrashException)
            {
                return;
            }
            finally
            {
                _busy--;
            }
        }
    }
}
