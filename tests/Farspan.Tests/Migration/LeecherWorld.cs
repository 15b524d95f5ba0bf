using Farspan.Backends;
using Farspan.Migration;
using Farspan.Migration.Finalizing;
using Farspan.TestKit.Simulation;

namespace Farspan.Tests.Migration;

/// <summary>Two hosts in one process, with a seeder on one of them.</summary>
internal sealed class LeecherWorld : IAsyncDisposable
{
    private readonly TimeProvider _clock;

    private LeecherWorld(TimeProvider clock, int length, Seeder seeder, MemoryBackend store, FreeHost source)
    {
        _clock = clock;
        Seeder = seeder;
        Store = store;
        Source = source;
        Local = new MemoryBackend(length);
        TargetDisk = new SimulatedDisk(2, clock);
        TargetFiles = TargetDisk.Open();
    }

    public Seeder Seeder { get; }

    /// <summary>The seeder's store.</summary>
    public MemoryBackend Store { get; }

    public FreeHost Source { get; }

    public FreeHost Target { get; } = new();

    /// <summary>The store that the region goes to.</summary>
    public MemoryBackend Local { get; }

    /// <summary>Where the record of the new owner is.</summary>
    public SimulatedDisk TargetDisk { get; }

    public SimulatedDirectory TargetFiles { get; }

    public LeecherOptions Options => new() { Clock = _clock, RetryDelay = TimeSpan.FromMilliseconds(50) };

    public static async Task<LeecherWorld> OpenAsync(TimeProvider clock, int length, int chunkSize, IBackend? behind = null)
    {
        var store = new MemoryBackend(length);
        var host = new FreeHost();
        var seeder = await Seeder.OpenAsync(new SimulatedDisk(1, clock).Open(), store, host, new SeederOptions
        {
            ChunkSize = chunkSize, Clock = clock, RetryDelay = TimeSpan.FromMilliseconds(50), Behind = behind is null ? null : new StoreBehind(behind, "the source"),
        });
        await host.ResumeAsync(CancellationToken.None);
        return new LeecherWorld(clock, length, seeder, store, host);
    }

    // The seeder's store through the seeder: what stands behind it is to know.
    public byte[] Fill(MemoryBackend store)
    {
        byte[] bytes = new byte[store.Length];
        new Random(5).NextBytes(bytes);
        var write = (store == Store ? Seeder.Backend : store).WriteAsync(0, bytes);
        return write.IsCompletedSuccessfully ? bytes : throw new InvalidOperationException("Memory is written at once.");
    }

    public ValueTask<Leecher> LeechAsync(IFinalizePolicy policy, params IBackend[] sources)
        => Leecher.OpenAsync(TargetFiles, Local, Seeder, Target, Options with { Policy = policy, Sources = sources });

    public async Task WaitAsync(Func<bool> condition)
    {
        while (!condition())
            await Task.Delay(TimeSpan.FromMilliseconds(5), _clock);
    }

    public Task WaitAsync(TimeSpan time) => Task.Delay(time, _clock);

    public async ValueTask DisposeAsync()
    {
        await Seeder.DisposeAsync();
        await TargetFiles.DisposeAsync();
    }
}
