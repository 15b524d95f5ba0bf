using Farspan.Mounts;

namespace Farspan.TestKit.Simulation;

/// <summary>What a <see cref="SimulatedWorld"/> is like, drawn from its seed.</summary>
internal sealed record WorldPlan
{
    public required int Length { get; init; }

    public required bool IsCacheDurable { get; init; }

    /// <summary>Whether the cache is a directory on a simulated disk, with losses of power; otherwise only its contract is simulated.</summary>
    public required bool IsCacheOnDisk { get; init; }

    public required ManagedMountOptions Options { get; init; }

    public required int Clients { get; init; }

    public required int StepsEach { get; init; }

    public required int Kills { get; init; }

    public required double Faults { get; init; }

    public required bool HasTrimAndZero { get; init; }

    public static WorldPlan Draw(Random random, int seed)
    {
        const int Chunk = 4096;
        int length = (Chunk * random.Next(1, 40)) + random.Next(1, Chunk);
        bool isDurable = random.Next(2) == 0;
        bool isLimited = random.Next(3) == 0 && length > 17 * Chunk;
        return new WorldPlan
        {
            Length = length,
            IsCacheDurable = isDurable,
            IsCacheOnDisk = isDurable && random.Next(3) != 0,
            Clients = random.Next(1, 5),
            StepsEach = random.Next(5, 40),
            Kills = random.Next(3) == 0 ? random.Next(1, 4) : 0,
            Faults = random.Next(3) == 0 ? 0 : random.NextDouble() * 0.15,
            HasTrimAndZero = random.Next(4) != 0,
            Options = new ManagedMountOptions
            {
                ChunkSize = Chunk << random.Next(2),
                CacheSizeLimit = isLimited ? 16 * Chunk * 2 : null,
                CacheDirectory = isDurable ? "simulated" : null,
                RemoteName = "simulated",
                Flush = isDurable && random.Next(2) == 0 ? FlushMode.Local : FlushMode.Remote,
                BackgroundPull = random.Next(4) switch { 0 => BackgroundPull.Nothing, 1 => BackgroundPull.ReadAhead, _ => BackgroundPull.Everything },
                PullWorkers = random.Next(2) == 0 ? null : random.Next(1, 6),
                PullOrder = random.Next(3) switch
                {
                    0 => PullOrder.ByPriority(index => index % 7),
                    1 => PullOrder.Ranges([(length / 2, 9000), (100, 1), (-3, 4)]),
                    _ => PullOrder.Linear,
                },
                PushInterval = TimeSpan.FromMilliseconds(random.Next(10, 3000)),
                DirtySoftLimit = 16 << 10,
                DirtyHardLimit = random.Next(2) == 0 ? 24 << 10 : 512 << 10,
                MemoryBudget = 1 << 20,
                OnOutage = random.Next(4) switch { 0 => OutageBehavior.FailFast, 1 when isDurable => OutageBehavior.ServeLocal, _ => OutageBehavior.Wait },
                OutageTimeout = TimeSpan.FromSeconds(random.Next(1, 40)),
                RequestTimeout = TimeSpan.FromSeconds(random.Next(1, 40)),
                CloseTimeout = TimeSpan.FromHours(1),
                Seed = seed,
            },
        };
    }
}
