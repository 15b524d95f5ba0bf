using Farspan.Backends;
using Farspan.Stages;
using Farspan.Transports;

namespace Farspan.Tests.Stages;

/// <summary>Builds stacks of stages over memory.</summary>
internal static class StageStack
{
    public static ValueTask<IBackend> BuildAsync(int length, IEnumerable<StageChoice> choices, int seed)
        => BuildAsync(new MemoryBackend(length), choices, seed);

    public static async ValueTask<IBackend> BuildAsync(IBackend backend, IEnumerable<StageChoice> choices, int seed)
    {
        foreach (var choice in choices)
            backend = await AddAsync(backend, choice, seed++);
        return backend;
    }

    private static async ValueTask<IBackend> AddAsync(IBackend inner, StageChoice choice, int seed)
    {
        int chunk = 1 << choice.Shift;
        switch (choice.Kind)
        {
            case StageKind.Yielding:
                return new YieldingStage(inner);
            case StageKind.Tracking:
                var tracking = new TrackingStage(inner, chunk);
                tracking.BeginTracking();
                return tracking;
            case StageKind.LockGate:
                return new LockGateStage(inner);
            case StageKind.IdleFaults:
                return new FaultInjectionStage(inner);
            case StageKind.RetriedFaults:
                var faults = new FaultInjectionStage(inner, seed);
                foreach (var kind in new[] { FaultKind.Error, FaultKind.Short, FaultKind.LostReply })
                    faults.Inject(new FaultRule { Kind = kind, Probability = 0.02, Error = BackendError.Disconnected });
                return new RetryStage(faults, new RetryOptions { FirstDelay = TimeSpan.FromTicks(1), MaximumDelay = TimeSpan.FromTicks(1) });
            case StageKind.Link:
                return new SimulatedLinkStage(inner, new LinkModel(new LinkOptions { UpRate = 80_000_000_000, DownRate = 80_000_000_000 }));
            case StageKind.ZeroDetection:
                return new ZeroDetectionStage(
                    inner, new ZeroDetectionOptions { Granule = Math.Max(512, chunk), MinimumRun = Math.Max(512, chunk), Concurrency = choice.Width });
            case StageKind.GuardedZeroDetection:
                var zeroes = new ZeroDetectionStage(
                    new AlignmentGuardStage(inner, new BlockSizes(chunk, Math.Max(chunk, 512), chunk * choice.Width)),
                    new ZeroDetectionOptions { Granule = 512, MinimumRun = 512, Concurrency = choice.Width });
                return new ArbitraryAccessStage(zeroes, ArbitraryAccessOptions.For(zeroes) with { Concurrency = choice.Width });
            case StageKind.Checksum:
                return await ChecksumStage.OpenAsync(inner, new ChecksumOptions { ChunkSize = chunk, Concurrency = choice.Width });
            case StageKind.ChecksumWithSide:
                var side = new YieldingStage(new MemoryBackend(ChecksumStage.SideLength(inner.Length, chunk)));
                return await ChecksumStage.OpenAsync(inner, new ChecksumOptions { ChunkSize = chunk, Concurrency = choice.Width, Side = side });
            case StageKind.GuardedArbitraryAccess:
                var guard = new AlignmentGuardStage(inner, new BlockSizes(chunk, Math.Max(chunk, 512), chunk * choice.Width));
                return new ArbitraryAccessStage(guard, ArbitraryAccessOptions.For(guard) with { Concurrency = choice.Width });
            default:
                return new AlignmentGuardStage(inner, BlockSizes.Default);
        }
    }
}
