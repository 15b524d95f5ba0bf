using Farspan.Backends;
using Farspan.Stages;
using Farspan.TestKit.Contracts;

namespace Farspan.Tests.Stages;

public sealed class RetryStageContractTests : BackendContract
{
    protected override IReadOnlyCollection<Type> Powers => [typeof(ITrim), typeof(IZero), typeof(IExtentSource), typeof(IConcurrentWriters)];

    protected override int ModelRuns => 20;

    protected override ValueTask<IBackend> CreateAsync(long length)
    {
        // One call in ten fails, in every way that a retry has to make good.
        var faults = new FaultInjectionStage(new YieldingStage(new MemoryBackend(length)), seed: 1);
        foreach (var kind in new[] { FaultKind.Error, FaultKind.Short, FaultKind.LostReply })
            faults.Inject(new FaultRule { Kind = kind, Probability = 0.03, Error = BackendError.Disconnected });
        return new(new RetryStage(faults, new RetryOptions { FirstDelay = TimeSpan.FromTicks(1), MaximumDelay = TimeSpan.FromTicks(1) }));
    }
}
