using Farspan.Backends;
using Farspan.Migration;
using Farspan.Migration.Finalizing;
using Farspan.TestKit.Simulation;

namespace Farspan.Tests.Migration;

/// <summary>One life of the host that the region goes to: a leecher, and a program that uses what it has taken over.</summary>
internal sealed class LeecherTarget(SimulatedMigration world, ISeeder seeder) : ISimulatedTarget, ILeecherHost, IFinalizePolicy
{
    private readonly SimulatedProcess _process = new();
    private Leecher? _leecher;
    private bool _isWanted;
    private bool _hasFailed;
    private bool _isStopping;
    private Task _using = Task.CompletedTask;
    private int _moves;

    public bool IsRunning => _isWanted && !_process.IsDead;

    public bool IsDone => HasMoved || _moves > 3;

    public bool HasMoved => !_process.IsDead && _leecher is { Completed: { IsCompletedSuccessfully: true, Result: true } };

    public bool KeepsOnlyWhatWasFlushed => false;

    public async Task<byte[]> ReadAllAsync()
    {
        _isStopping = true;
        await _using;
        byte[] bytes = new byte[SimulatedMigration.Length];
        await _leecher!.Backend.ReadAsync(0, bytes);
        return bytes;
    }

    public void Kill() => _process.Kill();

    public ISimulatedTarget Next() => new LeecherTarget(world, seeder) { _moves = _moves };

    public async Task StartAsync()
    {
        var clock = _process.Bind(world.Clock);
        var files = world.TargetDisk.Open();
        var options = new LeecherOptions
        {
            Clock = clock, NewToken = world.NextName, Policy = this, LongestRead = world.Random.Next(1, 4) * SimulatedMigration.ChunkSize, Verify = world.Random.Next(2) == 0,
            RetryDelay = TimeSpan.FromMilliseconds(200), RequestTimeout = TimeSpan.FromSeconds(60), DecisionTimeout = TimeSpan.FromSeconds(60), OutageTimeout = TimeSpan.FromHours(1),
        };
        _leecher = await Leecher.OpenAsync(files, await files.OpenDataAsync("local", SimulatedMigration.Length), new MortalSeeder(seeder, _process), this, options);
        if (_leecher.Record.MayWrite)
            TakeOver();
        _using = UseAsync(_leecher, isNew: !_leecher.Record.MayWrite);
    }

    public async ValueTask ResumeAsync(CancellationToken cancellationToken)
    {
        await Task.Delay(TimeSpan.FromMilliseconds(world.Random.Next(50)), _process.Bind(world.Clock), CancellationToken.None);
        if (!_hasFailed && world.Random.Next(8) == 0)
        {
            _hasFailed = true;
            throw new InvalidOperationException("The program does not start yet.");
        }

        TakeOver();
    }

    public FinalizeStep Next(in PreCopyProgress progress) => world.Random.Next(world.IsCalm ? 3 : 12) switch
    {
        0 => FinalizeStep.Finalize,
        < 6 => FinalizeStep.Round(TimeSpan.FromMilliseconds(world.Random.Next(1000))),
        _ => FinalizeStep.Copy(TimeSpan.FromMilliseconds(world.Random.Next(1000))),
    };

    private void TakeOver()
    {
        if (_process.IsDead)
            return;
        world.TakeOver();
        _isWanted = true;
    }

    private async Task UseAsync(Leecher leecher, bool isNew)
    {
        try
        {
            var clock = _process.Bind(world.Clock);
            while (!leecher.Accepted.IsCompleted)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(world.Random.Next(1, 400)), clock);
                if (world.Random.Next(60) == 0 && _moves < 3 && await leecher.GiveUpAsync())
                {
                    _moves++;
                    await leecher.DisposeAsync();
                    await StartAsync();
                    return;
                }
            }

            for (int chunk = 0; chunk < SimulatedMigration.ChunkCount && !isNew; chunk++)
                world.CheckFound(chunk, await ReadAsync(leecher.Backend, chunk));
            while (!_isStopping)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(world.Random.Next(world.WriteGap)), clock);
                await UseAsync(leecher.Backend, world.Random.Next(SimulatedMigration.ChunkCount));
            }
        }
        catch (SimulatedCrashException)
        {
            // The host went down within a call of its disk.
        }
    }

    private async Task UseAsync(IBackend backend, int chunk)
    {
        switch (world.Random.Next(5))
        {
            case 0:
                var covered = world.BeginFlush();
                await backend.FlushAsync();
                if (!_process.IsDead)
                    world.EndFlush(covered);
                break;
            case 1 or 2:
                int cut = Math.Max(0, world.Random.Next(-SimulatedMigration.ChunkSize, SimulatedMigration.ChunkSize));
                byte[] bytes = world.BeginWrite(chunk, isSource: false, cut);
                await backend.WriteAsync(((long)chunk * SimulatedMigration.ChunkSize) + cut, bytes.AsMemory(cut));
                if (cut > 0)
                    await backend.WriteAsync((long)chunk * SimulatedMigration.ChunkSize, bytes.AsMemory(0, cut));
                if (!_process.IsDead)
                    world.EndWrite(chunk, bytes);
                break;
            default:
                bytes = await ReadAsync(backend, chunk);
                if (!_process.IsDead)
                    world.CheckRead(chunk, bytes);
                break;
        }
    }

    private static async Task<byte[]> ReadAsync(IBackend backend, int chunk)
    {
        byte[] bytes = new byte[SimulatedMigration.ChunkSize];
        await backend.ReadAsync((long)chunk * SimulatedMigration.ChunkSize, bytes);
        return bytes;
    }
}
