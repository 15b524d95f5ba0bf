using Farspan.Backends;
using Farspan.Mounts;
using Farspan.Stages;
using Farspan.TestKit.Contracts;
using Farspan.Transports;
using Xunit;

namespace Farspan.Tests.Mounts;

/// <summary>The same mount on real threads: many readers and writers at once, over a line that is slow and fails.</summary>
public sealed class ManagedMountStressTests
{
    private const int Length = (6 << 20) + 12_345;

    [Theory(Timeout = 120_000)]
    [InlineData(1, null)]
    [InlineData(2, 256 << 10)]
    [InlineData(3, 1 << 20)]
    public async Task ManyThreads_OverAFailingLine_MatchTheModel(int seed, int? cacheLimit)
    {
        var store = new MemoryBackend(Length);
        var faults = new FaultInjectionStage(store, seed);
        faults.Inject(new FaultRule { Kind = FaultKind.LostReply, Error = BackendError.Disconnected, Probability = 0.01, Count = int.MaxValue });
        faults.Inject(new FaultRule { Kind = FaultKind.Error, Error = BackendError.TimedOut, Probability = 0.01, Count = int.MaxValue });
        var line = new SimulatedLinkStage(faults, new LinkModel(new LinkOptions { RoundTripTime = TimeSpan.FromMilliseconds(2) }));
        var mount = await ManagedBackend.OpenAsync(line, new ManagedMountOptions
        {
            ChunkSize = 4096,
            CacheSizeLimit = cacheLimit,
            PushInterval = TimeSpan.FromMilliseconds(20),
            DirtySoftLimit = 64 << 10,
            DirtyHardLimit = 512 << 10,
            MemoryBudget = 2 << 20,
        });
        var runner = new BackendModelRunner(mount, seed, maximumLength: 30_000);
        await runner.RunConcurrentAsync(workers: 8, stepsEach: 150);
        var report = await mount.CloseAsync();
        Assert.Equal((0, null), (report.UnpushedBytes, report.Error));
    }
}
